//! Against a server of ours, written from the public documents of the API.

use super::*;
use crate::channel::fake_tests::{Answer, Asked, Listening, Service, Stop, heard, say};
use crate::wire::channel::{ChatKind, Media, MediaKind};

const ME: &str = "botbotbotbotbotbotbotbotbo";

fn answer(asked: &Asked) -> Answer {
    let user = |id: &str, name: &str| json!({"id": id, "username": name, "first_name": "Ann", "last_name": "Lee", "nickname": ""});
    let channel = |id: &str, kind: &str| {
        json!({
            "id": id, "type": kind, "display_name": "Town Square", "name": "town-square",
            "team_id": if kind == "O" { "team1" } else { "" },
            "header": "be kind", "last_post_at": 2_000_000_000_000_u64,
        })
    };
    let path = asked.what.split('?').next().unwrap_or_default();
    let value = match path {
        "GET /api/v4/users/me" => user(ME, "claw"),
        "GET /api/v4/users/u1" => user("u1", "ann"),
        "GET /api/v4/users/username/ann" => user("u1", "ann"),
        "GET /api/v4/channels/dm1" => channel("dm1", "D"),
        "GET /api/v4/channels/town" => channel("town", "O"),
        "POST /api/v4/channels/direct" => channel("dm1", "D"),
        "GET /api/v4/users/me/teams" => json!([{"id": "team1"}]),
        "GET /api/v4/users/me/teams/team1/channels" => json!([channel("town", "O")]),
        "GET /api/v4/channels/town/posts" => json!({"order": [], "posts": {
            "missed": post("missed", "town", "@claw are you back?", ""),
            "old": {"id": "old", "create_at": 5, "user_id": "u1", "channel_id": "town",
                "message": "edited since"},
        }}),
        "GET /api/v4/files/f1" => return (200, "GIF89a".into()),
        "POST /api/v4/files" if asked.text.contains("too-large") => {
            return (413, json!({"message": "too large"}).to_string());
        }
        "POST /api/v4/files" => json!({"file_infos": [{"id": "f2", "name": "a.txt"}]}),
        "POST /api/v4/posts" if asked.json()["root_id"] == "gone" => {
            let id = "api.post.create_post.root_id.app_error";
            return (
                400,
                json!({"id": id, "message": "Invalid RootId"}).to_string(),
            );
        }
        "POST /api/v4/posts" => json!({"id": "posted"}),
        "POST /api/v4/users/me/typing" | "PUT /api/v4/posts/p1/patch" => json!({"status": "OK"}),
        "DELETE /api/v4/posts/p1" => json!({"status": "OK"}),
        _ => return (404, json!({"id": "x", "message": "not found"}).to_string()),
    };
    (200, value.to_string())
}

fn post(id: &str, channel: &str, text: &str, root: &str) -> Value {
    json!({
        "id": id, "create_at": 1_999_999_999_000_u64, "user_id": "u1", "channel_id": channel,
        "root_id": root, "message": text, "type": "", "props": {},
    })
}

fn posted(post: &Value, kind: &str, mentions: &str) -> Value {
    json!({
        "event": "posted", "seq": 3,
        "data": {
            "post": post.to_string(), "channel_type": kind, "sender_name": "@ann",
            "mentions": mentions, "team_id": "team1",
        },
        "broadcast": {"channel_id": "c"},
    })
}

fn account(service: &Service, more: Value) -> Box<dyn Account> {
    let mut config =
        json!({"botToken": "tokentoken", "baseUrl": service.base.clone() + "/api/v4/"});
    for (name, value) in more.as_object().unwrap() {
        config[name] = value.clone();
    }
    let start = Start {
        config,
        folder: std::env::temp_dir(),
        media_limit: 100,
        ..Start::default()
    };
    open(&start).ok().unwrap()
}

/// Runs `test` while the account listens.
fn listening(more: Value, cursor: Value, test: impl FnOnce(&Service, &Listening, &dyn Account)) {
    let service = Service::open(answer);
    let account = account(&service, more);
    let listening = Listening::new(cursor);
    std::thread::scope(|scope| {
        let receiving = scope.spawn(|| account.receive(&listening.ears));
        let stop = Stop(&*account);
        test(&service, &listening, &*account);
        drop(stop);
        receiving.join().unwrap().unwrap();
    });
}

/// The server's side, up to the hello.
fn greet(service: &Service) -> tungstenite::WebSocket<std::net::TcpStream> {
    let mut socket = service.socket();
    let challenge = heard(&mut socket);
    assert_eq!(challenge["action"], "authentication_challenge");
    assert_eq!(challenge["data"]["token"], "tokentoken");
    say(
        &mut socket,
        &json!({"event": "hello", "data": {}, "seq": 0}),
    );
    socket
}

#[test]
fn posts_become_messages_and_what_is_none_is_left_out() {
    listening(json!({}), Value::Null, |service, listening, _| {
        let mut socket = greet(service);
        let status = listening.connected();
        assert_eq!(status.account.unwrap()["username"], "claw");
        let mut own = post("p0", "dm1", "mine", "");
        own["user_id"] = ME.into();
        let mut joined = post("p0b", "town", "ann joined", "");
        joined["type"] = "system_join_channel".into();
        for left_out in [own, joined] {
            say(&mut socket, &posted(&left_out, "O", ""));
        }
        say(&mut socket, &json!({"event": "typing", "data": {}}));
        let mut direct = post("p1", "dm1", "hello", "");
        direct["file_ids"] = json!(["f1", "f9"]);
        direct["metadata"] = json!({"files": [
            {"id": "f1", "name": "a.gif", "mime_type": "image/gif", "size": 6},
            {"id": "f9", "name": "b", "mime_type": "", "size": 101},
        ]});
        for _ in 0..2 {
            say(&mut socket, &posted(&direct, "D", ""));
        }
        let told = listening.message();
        assert_eq!((told.id.as_str(), told.text.as_str()), ("p1", "hello"));
        assert_eq!(
            (told.chat.kind, told.chat.id.as_str()),
            (ChatKind::Dm, "u1")
        );
        assert_eq!(told.chat.to.as_deref(), Some("user:u1"));
        assert_eq!(told.sender.name.as_deref(), Some("Ann Lee"));
        assert_eq!(told.cursor, Some(json!({"at": 1_999_999_999_000_u64})));
        let (gif, large) = (&told.media[0], &told.media[1]);
        assert_eq!(
            (gif.kind, gif.name.as_deref()),
            (MediaKind::Image, Some("a.gif"))
        );
        let path = gif.path.as_ref().unwrap();
        assert_eq!(std::fs::read(path).unwrap(), b"GIF89a");
        std::fs::remove_file(path).unwrap();
        assert!(large.path.is_none() && large.error.is_some());

        let thread = post("p2", "town", "hey @Claw, @claws and @claw.x: look", "p0");
        say(&mut socket, &posted(&thread, "O", "[\"u2\"]"));
        let told = listening.message();
        assert_eq!(told.text, "hey , @claws and @claw.x: look");
        assert_eq!((told.mentioned, told.mentions_others), (Some(true), true));
        assert_eq!(
            (told.chat.kind, told.chat.id.as_str()),
            (ChatKind::Channel, "town")
        );
        assert_eq!(told.chat.thread.unwrap().id, "p0");
        assert_eq!(told.chat.space.unwrap().id, "team1");
        let plain = post("p3", "town", "> not for you", "");
        say(&mut socket, &posted(&plain, "O", ""));
        let told = listening.message();
        assert_eq!(
            (told.mentioned, told.text.as_str()),
            (Some(false), "> not for you")
        );
    });
}

#[test]
fn a_connection_that_breaks_is_made_again_and_what_was_missed_is_read() {
    listening(
        json!({"chatmode": "onchar"}),
        Value::Null,
        |service, listening, _| {
            let mut socket = greet(service);
            assert_eq!(listening.connected().connected, Some(true));
            say(
                &mut socket,
                &posted(&post("p1", "town", "! do it", ""), "O", ""),
            );
            let told = listening.message();
            assert_eq!((told.mentioned, told.text.as_str()), (Some(true), "do it"));
            drop(socket);
            assert_eq!(listening.connected().connected, Some(false));
            let mut socket = greet(service);
            assert_eq!(listening.connected().connected, Some(true));
            let told = listening.message();
            assert_eq!(
                (told.id.as_str(), told.text.as_str()),
                ("missed", "are you back?")
            );
            // The server tells it, too.
            say(
                &mut socket,
                &posted(&post("missed", "town", "@claw are you back?", ""), "O", ""),
            );
            say(
                &mut socket,
                &posted(&post("p9", "town", "next", ""), "O", ""),
            );
            assert_eq!(listening.message().id, "p9");
        },
    );
}

#[test]
fn a_refused_token_ends_the_account_and_is_not_shown() {
    let refuse = |_: &Asked| (401, json!({"message": "bad token tokentoken"}).to_string());
    let service = Service::open(refuse);
    let account = account(&service, json!({}));
    let listening = Listening::new(Value::Null);
    let failed = account.receive(&listening.ears).unwrap_err();
    assert!(
        failed.permanent && failed.error == "HTTP 401: bad token ***",
        "{failed}"
    );
    let probe = account.probe(Duration::from_secs(5)).unwrap();
    assert_eq!(
        (&probe["ok"], &probe["status"]),
        (&json!(false), &json!(401))
    );
    assert!(open(&Start::default()).is_err());
}

#[test]
fn answers_go_to_people_channels_and_threads() {
    let service = Service::open(answer);
    let account = account(&service, json!({}));
    let send = |to: &str, thread: Option<&str>, media: Option<Media>| {
        let sent = account.send(&Outgoing {
            id: "s1".into(),
            to: to.into(),
            thread: thread.map(String::from),
            text: "hi".into(),
            media,
            ..Outgoing::default()
        });
        (sent, service.wait("POST /api/v4/posts").json())
    };
    for to in ["user:u1", "@ann", "mattermost:channel:dm1", "dm1"] {
        let (sent, post) = send(to, None, None);
        let sent = sent.unwrap();
        assert_eq!(sent.message_ids, ["posted"]);
        assert_eq!(sent.chat.as_deref(), Some("dm1"), "{to}");
        assert_eq!(
            (&post["message"], &post["root_id"]),
            (&json!("hi"), &json!(""))
        );
        assert_eq!(post["pending_post_id"], format!("{ME}:s1"));
    }
    let (_, post) = send("town", Some("root"), None);
    assert_eq!(post["root_id"], "root");
    // The message it answers is gone: the answer is not.
    let (sent, first) = send("town", Some("gone"), None);
    assert_eq!(first["root_id"], "gone");
    assert!(sent.is_ok() && service.wait("POST /api/v4/posts").json()["root_id"] == "");
    assert!(
        account
            .send(&Outgoing {
                to: "@nobody".into(),
                ..Outgoing::default()
            })
            .unwrap_err()
            .permanent
    );

    let dir = crate::base::id::temp_dir("mattermost");
    let path = dir.join("a.txt");
    std::fs::write(&path, "content").unwrap();
    let media = |name: &str| Media {
        path: Some(path.clone()),
        name: Some(name.into()),
        ..Media::default()
    };
    let (_, post) = send("town", None, Some(media("a.txt")));
    assert_eq!(post["file_ids"], json!(["f2"]));
    let (_, post) = send("town", None, Some(media("too-large")));
    assert_eq!(
        post["message"],
        "hi\n\n⚠️ Media failed: HTTP 413: too large"
    );
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn actions_and_names_reach_the_server() {
    let service = Service::open(answer);
    let account = account(&service, json!({}));
    let act = |action: &str, params: Value| {
        account.act(&Action {
            action: action.into(),
            to: "town".into(),
            thread: Some("root".into()),
            params,
            ..Action::default()
        })
    };
    act("typing", json!({})).unwrap();
    let typing = service.wait("POST /api/v4/users/me/typing").json();
    assert_eq!(typing, json!({"channel_id": "town", "parent_id": "root"}));
    act("edit", json!({"messageId": "p1", "message": "new"})).unwrap();
    assert_eq!(service.wait("PUT ").json(), json!({"message": "new"}));
    act("delete", json!({"messageId": "p1"})).unwrap();
    assert!(act("delete", json!({})).is_err() && act("fly", json!({})).is_err());
    let names = ["@ann", "nobody"].map(String::from);
    let found = account.resolve("user", &names).unwrap();
    assert_eq!(
        found[0],
        json!({"input": "@ann", "resolved": true, "id": "u1", "name": "ann"})
    );
    assert_eq!(found[1]["resolved"], false);
}
