import { pathToFileURL } from "node:url";

let text = "";
for await (const part of process.stdin) text += part;
const event = JSON.parse(text);
event.timestamp = new Date(event.timestamp);
event.context.cfg ??= {};
const [file, name] = process.argv.slice(1);
const handler = (await import(pathToFileURL(file)))[name];
if (typeof handler !== "function") throw new Error(`${file} exports no function ${name}`);
await handler(event);
const { messages, context } = event;
console.log("\n" + JSON.stringify({ messages, bootstrapFiles: context.bootstrapFiles ?? null }));
