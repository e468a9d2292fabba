// A client of @xmpp/client and one of strophe.js, both over WebSocket, log in and talk; prints what they saw as JSON.
// Arguments: domain, port of `http`, password.
import { client, xml } from "@xmpp/client";
import { begin as beginStrophe, $msg } from "./strophe.mjs";

const [domain, port, password] = process.argv.slice(2);
const service = `ws://127.0.0.1:${port}/xmpp-websocket`;

function heard(entity, wanted) {
  return new Promise((resolve) => {
    entity.on("stanza", (stanza) => {
      if (wanted(stanza)) resolve(stanza);
    });
  });
}

const mercutio = client({ service, domain, username: "mercutio", password, resource: "ws" });
let online = false;
mercutio.on("online", () => (online = true));
mercutio.on("error", (error) => {
  if (online && error.name === "TimeoutError") return; // Compat: see xmpp.mjs
  console.error(`mercutio: ${error}`);
  process.exit(1);
});
const address = await mercutio.start();
await mercutio.send(xml("presence"));

const nurse = await beginStrophe(service, `nurse@${domain}/strophe`, password);
const asked = heard(mercutio, (stanza) => stanza.is("message") && stanza.getChildText("body"));
const answered = nurse.next("message", address.toString());
nurse.connection.send($msg({ to: address.toString(), type: "chat", id: "m1" }).c("body").t("Is it good e'en? \u{1F319}"));
const question = await asked;
await mercutio.send(xml("message", { to: question.attrs.from, type: "chat" }, xml("body", {}, "'Tis no less, I tell you.")));
const answer = await answered;

console.log(
  JSON.stringify({
    addresses: [address.toString(), nurse.connection.jid],
    question: question.getChildText("body"),
    from: question.attrs.from,
    answer: answer.getElementsByTagName("body")[0].textContent,
  }),
);
await nurse.end();
await mercutio.stop();
process.exit(0);
