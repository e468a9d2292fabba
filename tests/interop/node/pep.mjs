// Two clients of @xmpp/client: one publishes on an open node, the other subscribes to it; prints what they saw as JSON.
// Arguments: domain, port, password.
import { client, xml } from "@xmpp/client";

const [domain, port, password] = process.argv.slice(2);
const PUBSUB = "http://jabber.org/protocol/pubsub";

async function begin(username) {
  const entity = client({ service: `xmpp://127.0.0.1:${port}`, domain, username, password, resource: "pep" });
  let online = false;
  entity.on("online", () => (online = true));
  entity.on("error", (error) => {
    // Compat: @xmpp/client 0.14.0, see xmpp.mjs.
    if (online && error.name === "TimeoutError") return;
    console.error(`${username}: ${error}`);
    process.exit(1);
  });
  await entity.start();
  await entity.send(xml("presence"));
  return entity;
}

function field(name, value) {
  return xml("field", { var: name }, xml("value", {}, value));
}

function publication(id, text) {
  const options = xml(
    "x",
    { xmlns: "jabber:x:data", type: "submit" },
    field("FORM_TYPE", `${PUBSUB}#publish-options`),
    field("pubsub#access_model", "open"),
    field("pubsub#max_items", "max"),
  );
  return xml(
    "pubsub",
    { xmlns: PUBSUB },
    xml("publish", { node: "urn:test:blog" }, xml("item", { id }, xml("entry", { xmlns: "urn:test" }, text))),
    xml("publish-options", {}, options),
  );
}

const nurse = await begin("nurse");
const mercutio = await begin("mercutio");
const events = [];
const second = new Promise((resolve) => {
  mercutio.on("stanza", (stanza) => {
    const items = stanza.getChild("event", `${PUBSUB}#event`)?.getChild("items");
    if (!items) return;
    events.push([stanza.attrs.from, items.getChild("item").attrs.id, items.getChild("item").getChildText("entry")]);
    if (events.length === 2) resolve();
  });
});

await nurse.iqCaller.set(publication("one", "First"));
const to = `nurse@${domain}`;
const jid = `mercutio@${domain}`;
const subscription = xml("pubsub", { xmlns: PUBSUB }, xml("subscribe", { node: "urn:test:blog", jid }));
const subscribed = await mercutio.iqCaller.set(subscription, to);
await nurse.iqCaller.set(publication("two", "Second"));
await second;
const asked = xml("pubsub", { xmlns: PUBSUB }, xml("items", { node: "urn:test:blog" }));
const found = await mercutio.iqCaller.get(asked, to);
let refused = "";
try {
  await mercutio.iqCaller.set(publication("three", "Forged"), to);
} catch (error) {
  refused = error.condition;
}
console.log(
  JSON.stringify({
    subscribed: subscribed.getChild("subscription").attrs.subscription,
    events,
    items: found.getChild("items").getChildren("item").map((item) => item.attrs.id),
    refused,
  }),
);
await Promise.all([nurse.stop(), mercutio.stop()]);
