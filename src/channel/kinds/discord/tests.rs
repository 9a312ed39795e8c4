//! Against a service of ours, written from Discord's public documents.

use super::*;
use crate::channel::fake_tests::{Answer, Asked, Listening, Service, Stop, heard, say};
use crate::wire::channel::{Button, ChatKind, What};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use tungstenite::WebSocket;

type Base = Arc<Mutex<String>>;

const ME: &str = "900000000000000001";
const DIRECT: &str = "100000000000000001";
const TOWN: &str = "100000000000000002";
const THREAD: &str = "100000000000000003";
const GUILD: &str = "200000000000000001";
const ANN: &str = "300000000000000001";

fn answer(asked: &Asked, base: &Base) -> Answer {
    let channel = |id: &str, kind: u64, name: &str| {
        json!({"id": id, "type": kind, "name": name, "topic": "be kind", "guild_id": GUILD,
            "parent_id": if kind == 11 { json!(TOWN) } else { Value::Null }, "owner_id": ME})
    };
    let path = asked.what.split('?').next().unwrap_or_default();
    let messages = |channel: &str| format!("POST /channels/{channel}/messages");
    let value = match path {
        "GET /oauth2/applications/@me" => json!({"id": "app", "flags": 1 << 19}),
        "GET /users/@me" => json!({"id": ME, "username": "claw"}),
        "GET /gateway/bot" => json!({"url": base.lock().unwrap().replacen("http", "ws", 1)}),
        "GET /applications/app/commands" => json!([]),
        "PUT /applications/app/commands" => json!([]),
        "POST /users/@me/channels" => json!({"id": DIRECT}),
        "GET /users/@me/guilds" => json!([{"id": GUILD, "name": "Home"}]),
        "GET /files/a.gif" => return (200, "GIF89a".into()),
        _ if path == messages("50013") => {
            return (
                403,
                json!({"code": 50013, "message": "Missing Permissions"}).to_string(),
            );
        }
        _ if path == messages("413") && asked.head.contains("multipart") => {
            return (
                413,
                json!({"code": 40005, "message": "Request entity too large"}).to_string(),
            );
        }
        _ if path == format!("GET /channels/{DIRECT}") => json!({"id": DIRECT, "type": 1}),
        _ if path == format!("GET /channels/{TOWN}") => channel(TOWN, 0, "town"),
        _ if path == format!("GET /channels/{THREAD}") => channel(THREAD, 11, "a thread"),
        _ if path == format!("GET /channels/{TOWN}/messages/{THREAD}") => {
            json!({"id": THREAD, "content": "how it began"})
        }
        _ if path == format!("GET /guilds/{GUILD}") => json!({"name": "Home"}),
        _ if path == format!("GET /guilds/{GUILD}/members/search") => {
            json!([{"nick": "Annie", "user": {"id": ANN, "username": "ann"}}])
        }
        _ if path == format!("GET /guilds/{GUILD}/channels") => json!([channel(TOWN, 0, "town")]),
        _ if path.starts_with("GET ") => {
            return (
                404,
                json!({"code": 10003, "message": "Unknown Channel"}).to_string(),
            );
        }
        _ if path.ends_with("/callback") || path.contains("/reactions/") => {
            return (204, String::new());
        }
        _ => json!({"id": "700000000000000001"}),
    };
    (200, value.to_string())
}

fn service() -> Service {
    let base = Base::default();
    let service = Service::open({
        let base = base.clone();
        move |asked| answer(asked, &base)
    });
    *base.lock().unwrap() = service.base.clone();
    service
}

fn start() -> Start {
    Start {
        config: json!({"token": "Bot tokentoken"}),
        folder: std::env::temp_dir(),
        media_limit: 100,
        commands: vec![Command {
            name: "status".into(),
            description: "how it goes".into(),
        }],
        ..Start::default()
    }
}

fn listening(cursor: Value, test: impl FnOnce(&Service, &Listening, &Discord)) {
    let service = service();
    let account = Discord::new(&start(), &service.base).ok().unwrap();
    let listening = Listening::new(cursor);
    std::thread::scope(|scope| {
        let receiving = scope.spawn(|| account.receive(&listening.ears));
        let stop = Stop(&account);
        test(&service, &listening, &account);
        drop(stop);
        receiving.join().unwrap().unwrap();
    });
}

/// A connection, up to what the bot says first.
fn greet(service: &Service) -> (WebSocket<TcpStream>, Value) {
    let mut socket = service.socket();
    say(
        &mut socket,
        &json!({"op": 10, "d": {"heartbeat_interval": 600_000}}),
    );
    loop {
        let said = heard(&mut socket);
        // The first heartbeat may come before or after.
        if said["op"] != 1 {
            return (socket, said);
        }
    }
}

fn ready(socket: &mut WebSocket<TcpStream>, service: &Service) {
    let url = service.base.replacen("http", "ws", 1);
    let data = json!({"session_id": "s1", "resume_gateway_url": url, "user": {"id": ME}});
    say(socket, &json!({"op": 0, "s": 1, "t": "READY", "d": data}));
}

fn dispatch(socket: &mut WebSocket<TcpStream>, seq: u64, name: &str, data: Value) {
    say(socket, &json!({"op": 0, "s": seq, "t": name, "d": data}));
}

fn message(id: &str, channel: &str, text: &str) -> Value {
    let mut message = json!({
        "id": id, "channel_id": channel, "content": text, "type": 0,
        "timestamp": "2026-03-01T10:00:00.000000+00:00",
        "author": {"id": ANN, "username": "ann", "global_name": "Ann", "discriminator": "0"},
        "mentions": [], "attachments": [], "embeds": [],
    });
    if channel != DIRECT {
        message["guild_id"] = GUILD.into();
        message["member"] = json!({"nick": "Annie"});
    }
    message
}

#[test]
fn messages_of_people_channels_and_threads_are_told() {
    listening(Value::Null, |service, listening, _| {
        let (mut socket, identify) = greet(service);
        assert_eq!(identify["op"], 2);
        assert_eq!(identify["d"]["token"], "tokentoken");
        assert_eq!(
            identify["d"]["intents"],
            1 + 512 + 1024 + 4096 + 8192 + 32768
        );
        ready(&mut socket, service);
        assert_eq!(listening.connected().account.unwrap()["username"], "claw");
        let offered = service.wait("PUT /applications/app/commands").json();
        assert_eq!(offered[0]["name"], "status");

        let mut own = message("1", TOWN, "mine");
        own["author"]["id"] = ME.into();
        dispatch(&mut socket, 2, "MESSAGE_CREATE", own);
        dispatch(&mut socket, 3, "TYPING_START", json!({}));
        let mut direct = message("2", DIRECT, "hello");
        direct["attachments"] = json!([
            {"filename": "a.gif", "size": 6, "content_type": "image/gif",
                "url": format!("{}/files/a.gif", service.base)},
            {"filename": "b", "size": 101, "url": "https://cdn.example/b"},
        ]);
        dispatch(&mut socket, 4, "MESSAGE_CREATE", direct);
        let told = listening.message();
        assert_eq!((told.id.as_str(), told.text.as_str()), ("2", "hello"));
        assert_eq!((told.chat.kind, told.chat.id.as_str()), (ChatKind::Dm, ANN));
        assert_eq!(told.chat.to, Some(format!("user:{ANN}")));
        assert_eq!(told.timestamp, 1_772_359_200_000);
        assert_eq!(told.cursor.unwrap()["seq"], 4);
        assert_eq!((told.media.len(), told.media[1].path.is_none()), (2, true));
        let path = told.media[0].path.as_ref().unwrap();
        assert_eq!(std::fs::read(path).unwrap(), b"GIF89a");
        std::fs::remove_file(path).unwrap();

        let mut mention = message("3", TOWN, "<@900000000000000001> look at <@5>");
        mention["mentions"] = json!([{"id": ME}, {"id": "5"}]);
        mention["referenced_message"] = json!({
            "id": "0", "content": "said before", "author": {"id": ME, "username": "claw"},
        });
        dispatch(&mut socket, 5, "MESSAGE_CREATE", mention);
        let told = listening.message();
        assert_eq!(told.text, "look at <@5>");
        assert_eq!((told.mentioned, told.mentions_others), (Some(true), true));
        assert_eq!(
            (told.chat.kind, told.chat.id.as_str()),
            (ChatKind::Channel, TOWN)
        );
        assert_eq!(told.chat.space.unwrap().name.as_deref(), Some("Home"));
        assert_eq!(told.sender.name.as_deref(), Some("Annie"));
        assert!(told.reply_to.is_some_and(|quoted| quoted.own));
        assert_eq!(told.untrusted, ["Discord channel topic: be kind"]);

        let mut forwarded = message("4", THREAD, "");
        forwarded["message_snapshots"] = json!([{"message": {"content": "from far"}}]);
        dispatch(&mut socket, 6, "MESSAGE_CREATE", forwarded);
        let told = listening.message();
        assert_eq!(told.text, "[Forwarded message]\nfrom far");
        let thread = told.chat.thread.unwrap();
        assert_eq!(
            thread.label.as_deref(),
            Some("Discord thread #town › a thread")
        );
        assert_eq!(
            (thread.starter.as_deref(), thread.own),
            (Some("how it began"), true)
        );
        assert_eq!(told.chat.parent.unwrap().id, TOWN);
    });
}

#[test]
fn a_broken_connection_and_a_new_process_take_up_the_session() {
    listening(
        json!({"id": "s0", "url": "", "seq": 7}),
        |service, listening, _| {
            // Where the session of the process before was is not known: it is asked for anew.
            let (mut socket, identify) = greet(service);
            assert_eq!(identify["op"], 2);
            ready(&mut socket, service);
            assert_eq!(listening.connected().connected, Some(true));
            dispatch(&mut socket, 2, "MESSAGE_CREATE", message("1", TOWN, "one"));
            assert_eq!(listening.message().id, "1");
            drop(socket);
            assert_eq!(listening.connected().connected, Some(false));
            let (mut socket, resume) = greet(service);
            assert_eq!(resume["op"], 6);
            assert_eq!(
                (&resume["d"]["session_id"], &resume["d"]["seq"]),
                (&json!("s1"), &json!(2))
            );
            dispatch(
                &mut socket,
                3,
                "MESSAGE_CREATE",
                message("2", TOWN, "missed"),
            );
            dispatch(&mut socket, 4, "RESUMED", Value::Null);
            assert_eq!(listening.message().id, "2");
            assert_eq!(listening.connected().connected, Some(true));
            // Asked for a heartbeat, then to come again.
            say(&mut socket, &json!({"op": 1, "d": null}));
            let beat = heard(&mut socket);
            assert_eq!(beat, json!({"op": 1, "d": 4}));
            say(&mut socket, &json!({"op": 7, "d": null}));
            assert_eq!(greet(service).1["op"], 6);
            let (mut socket, _) = greet(service);
            say(&mut socket, &json!({"op": 9, "d": false}));
            assert_eq!(
                greet(service).1["op"],
                2,
                "a session that is over is not asked for"
            );
        },
    );
    let url = |service: &Service| service.base.replacen("http", "ws", 1);
    let service = service();
    let cursor = json!({"id": "s5", "url": url(&service), "seq": 9});
    let account = Discord::new(&start(), &service.base).ok().unwrap();
    let listening = Listening::new(cursor);
    std::thread::scope(|scope| {
        scope.spawn(|| account.receive(&listening.ears));
        let _stop = Stop(&account);
        let (_, resume) = greet(&service);
        assert_eq!((&resume["op"], &resume["d"]["seq"]), (&json!(6), &json!(9)));
    });
}

#[test]
fn a_refused_token_or_intent_ends_the_account() {
    for (code, word) in [(4004, "token is refused"), (4014, "Message Content Intent")] {
        let service = service();
        let account = Discord::new(&start(), &service.base).ok().unwrap();
        let listening = Listening::new(Value::Null);
        std::thread::scope(|scope| {
            let receiving = scope.spawn(|| account.receive(&listening.ears));
            let _stop = Stop(&account);
            let (mut socket, _) = greet(&service);
            let frame = tungstenite::protocol::CloseFrame {
                code: code.into(),
                reason: "no".into(),
            };
            socket.close(Some(frame)).unwrap();
            let failed = receiving.join().unwrap().unwrap_err();
            assert!(failed.permanent && failed.error.contains(word), "{failed}");
        });
    }
}

#[test]
fn commands_buttons_and_reactions_are_told() {
    listening(Value::Null, |service, listening, account| {
        let (mut socket, _) = greet(service);
        ready(&mut socket, service);
        let command = json!({
            "id": "i1", "type": 2, "token": "itoken", "channel_id": TOWN, "guild_id": GUILD,
            "member": {"user": {"id": ANN, "username": "ann"}},
            "data": {"name": "status", "options": [{"name": "args", "value": "all"}]},
        });
        dispatch(&mut socket, 2, "INTERACTION_CREATE", command);
        let callback = service.wait("POST /interactions/i1/itoken/callback").json();
        assert_eq!(callback, json!({"type": 5, "data": {"flags": 64}}));
        let told = listening.message();
        assert_eq!((told.text.as_str(), told.command), ("/status all", true));
        let answer = |text: &str| Outgoing {
            id: "s".into(),
            to: told.chat.to.clone().unwrap(),
            text: text.into(),
            ..Outgoing::default()
        };
        account.send(&answer("first")).unwrap();
        let first = service
            .wait("PATCH /webhooks/app/itoken/messages/@original")
            .json();
        assert_eq!(
            (&first["content"], &first["flags"]),
            (&json!("first"), &json!(64))
        );
        account.send(&answer("second")).unwrap();
        assert_eq!(
            service.wait("POST /webhooks/app/itoken").json()["content"],
            "second"
        );

        let button = json!({
            "id": "i2", "type": 3, "token": "t2", "channel_id": DIRECT,
            "user": {"id": ANN, "username": "ann"}, "data": {"custom_id": "yes please"},
        });
        dispatch(&mut socket, 3, "INTERACTION_CREATE", button);
        let told = listening.message();
        assert_eq!((told.text.as_str(), told.command), ("yes please", false));

        let reaction = json!({
            "user_id": ANN, "channel_id": TOWN, "guild_id": GUILD, "message_id": "m",
            "message_author_id": ME, "emoji": {"id": null, "name": "👍"},
        });
        dispatch(&mut socket, 4, "MESSAGE_REACTION_ADD", reaction);
        let told = listening.event();
        assert_eq!(told.id, "s1:4");
        let expected = What::Reaction {
            emoji: "👍".into(),
            removed: false,
            message_id: "m".into(),
            own: true,
        };
        assert_eq!(told.what, expected);
    });
}

#[test]
fn messages_are_sent_once_and_what_the_service_refuses_is_explained() {
    let service = service();
    let account = Discord::new(&start(), &service.base).ok().unwrap();
    let message = |to: &str| Outgoing {
        id: "s1".into(),
        to: to.into(),
        text: "hi".into(),
        ..Outgoing::default()
    };
    for to in [
        format!("user:{ANN}"),
        format!("<@!{ANN}>"),
        format!("channel:{DIRECT}"),
    ] {
        let sent = account.send(&message(&to)).unwrap();
        assert_eq!(sent.chat.as_deref(), Some(DIRECT), "{to}");
        let posted = service.wait(&format!("POST /channels/{DIRECT}/messages"));
        let (head, posted) = (posted.head.clone(), posted.json());
        assert!(head.contains("Bot tokentoken"));
        assert_eq!(posted["enforce_nonce"], true);
        assert_eq!(posted["nonce"].as_str().map(str::len), Some(25));
    }
    let mut reply = message(TOWN);
    reply.reply_to = Some("5".into());
    reply.buttons = vec![vec![Button {
        text: "Yes".into(),
        data: "yes".into(),
    }]];
    account.send(&reply).unwrap();
    let posted = service
        .wait(&format!("POST /channels/{TOWN}/messages"))
        .json();
    assert_eq!(posted["message_reference"]["message_id"], "5");
    assert_eq!(posted["components"][0]["components"][0]["custom_id"], "yes");
    let failed = account.send(&message("50013")).unwrap_err();
    assert!(failed.permanent);
    assert!(
        failed
            .error
            .starts_with("missing permissions in channel 50013: ViewChannel")
    );
    assert!(account.send(&message("nobody")).unwrap_err().permanent);

    let dir = crate::base::id::temp_dir("discord");
    let path = dir.join("a.txt");
    std::fs::write(&path, "content").unwrap();
    let mut file = message(TOWN);
    file.media = Some(Media {
        path: Some(path),
        name: Some("a.txt".into()),
        ..Media::default()
    });
    account.send(&file).unwrap();
    let posted = service
        .wait(&format!("POST /channels/{TOWN}/messages"))
        .text;
    assert!(posted.contains("payload_json") && posted.contains("filename=\"a.txt\""));
    file.to = "413".into();
    account.send(&file).unwrap();
    service.wait("POST /channels/413/messages");
    let posted = service.wait("POST /channels/413/messages").json();
    let expected = "hi\n\n⚠️ Media failed: HTTP 413: Request entity too large";
    assert_eq!(posted["content"], expected);
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn what_is_asked_too_often_is_asked_again_after_the_time_the_service_says() {
    let count = Arc::new(Mutex::new(0));
    let service = Service::open({
        let count = count.clone();
        move |_| {
            let mut count = count.lock().unwrap();
            *count += 1;
            match *count {
                1 => (
                    429,
                    json!({"retry_after": 0.01, "global": false}).to_string(),
                ),
                2 => (200, json!({"id": "1"}).to_string()),
                _ => (429, json!({"retry_after": 60.0}).to_string()),
            }
        }
    });
    let account = Discord::new(&start(), &service.base).ok().unwrap();
    let message = Outgoing {
        to: TOWN.into(),
        text: "hi".into(),
        ..Outgoing::default()
    };
    account.send(&message).unwrap();
    let failed = account.send(&message).unwrap_err();
    assert_eq!(failed.retry_after, Some(Duration::from_secs(60)));
    assert!(!failed.permanent && *count.lock().unwrap() == 3);
}

#[test]
fn actions_names_and_the_probe_reach_the_service() {
    let service = service();
    let account = Discord::new(&start(), &service.base).ok().unwrap();
    let act = |action: &str, params: Value| {
        account.act(&Action {
            action: action.into(),
            to: format!("channel:{TOWN}"),
            params,
            ..Action::default()
        })
    };
    act("react", json!({"messageId": "5", "emoji": "👍"})).unwrap();
    service.wait(&format!(
        "PUT /channels/{TOWN}/messages/5/reactions/%F0%9F%91%8D/@me"
    ));
    act("typing", json!({})).unwrap();
    service.wait(&format!("POST /channels/{TOWN}/typing"));
    act("edit", json!({"messageId": "5", "message": "new"})).unwrap();
    assert_eq!(service.wait("PATCH ").json(), json!({"content": "new"}));
    act(
        "thread-create",
        json!({"messageId": "5", "threadName": "t"}),
    )
    .unwrap();
    service.wait(&format!("POST /channels/{TOWN}/messages/5/threads"));
    act(
        "poll",
        json!({"question": "q", "options": ["a", "b"], "durationHours": 2000}),
    )
    .unwrap();
    let poll = service
        .wait(&format!("POST /channels/{TOWN}/messages"))
        .json();
    assert_eq!(
        (
            &poll["poll"]["duration"],
            &poll["poll"]["answers"][1]["poll_media"]["text"]
        ),
        (&json!(768), &json!("b"))
    );
    assert!(act("channel-list", json!({})).unwrap().is_array());
    assert!(act("delete", json!({})).is_err() && act("fly", json!({})).is_err());
    let names = |name: &str| [name.to_string()];
    let found = account.resolve("user", &names("@annie")).unwrap();
    assert_eq!(
        (&found[0]["id"], &found[0]["name"]),
        (&json!(ANN), &json!("ann"))
    );
    let found = account.resolve("group", &names("Home/#town")).unwrap();
    assert_eq!(found[0]["id"], TOWN);
    assert_eq!(
        account.resolve("user", &names("bob")).unwrap()[0]["resolved"],
        false
    );
    let probe = account.probe(Duration::from_secs(5)).unwrap();
    assert_eq!(probe["application"]["intents"]["messageContent"], "limited");
}
