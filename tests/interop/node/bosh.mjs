// Two clients of strophe.js over BOSH log in and talk; prints what they saw as JSON.
// Arguments: domain, port of `http`, password.
import XMLHttpRequest from "xhr2";
import { begin, $msg, $iq } from "./strophe.mjs";

// What strophe.js has in a browser.
globalThis.XMLHttpRequest = class extends XMLHttpRequest {
  constructor() {
    super();
    Object.defineProperty(this, "responseXML", {
      get: () => (this.responseText ? new DOMParser().parseFromString(this.responseText, "text/xml") : null),
      set: () => {},
    });
  }
};

const [domain, port, password] = process.argv.slice(2);
const service = `http://127.0.0.1:${port}/http-bind`;

const romeo = await begin(service, `romeo@${domain}/bosh`, password);
const juliet = await begin(service, `juliet@${domain}/bosh`, password);
const words = (stanza) => stanza.getElementsByTagName("body")[0].textContent;

const bodies = [];
for (const text of ["Lady, by yonder blessed moon", "I swear, \u{1F319} & <that> tips", "with silver"]) {
  const heard = juliet.next("message", romeo.connection.jid);
  romeo.connection.send($msg({ to: juliet.connection.jid, type: "chat" }).c("body").t(text));
  bodies.push(words(await heard));
}
const answered = romeo.next("message", juliet.connection.jid);
juliet.connection.send($msg({ to: romeo.connection.jid, type: "chat" }).c("body").t("O, swear not by the moon"));
bodies.push(words(await answered));
const roster = await romeo.ask($iq({ type: "get" }).c("query", { xmlns: "jabber:iq:roster" }));

console.log(
  JSON.stringify({
    addresses: [romeo.connection.jid, juliet.connection.jid],
    bodies,
    roster: roster.getAttribute("type"),
  }),
);
await Promise.all([romeo.end(), juliet.end()]);
process.exit(0);
