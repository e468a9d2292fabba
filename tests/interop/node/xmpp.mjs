// Two clients of @xmpp/client log in over STARTTLS, talk, and read their history; prints what they saw as JSON.
// Arguments: domain, port, password.
import { client, xml } from "@xmpp/client";

const [domain, port, password] = process.argv.slice(2);

function heard(entity, wanted) {
  return new Promise((resolve) => {
    entity.on("stanza", (stanza) => {
      if (wanted(stanza)) resolve(stanza);
    });
  });
}

async function begin(username) {
  const entity = client({ service: `xmpp://127.0.0.1:${port}`, domain, username, password, resource: "node" });
  let online = false;
  entity.on("online", () => (online = true));
  entity.on("error", (error) => {
    // Compat: @xmpp/client 0.14.0: it starts to wait for the server's opening once its own is written. On loopback that
    // is too late now and then, and it complains two seconds after it was missed; the login has long been through.
    if (online && error.name === "TimeoutError") return;
    console.error(`${username}: ${error}`);
    process.exit(1);
  });
  const address = await entity.start();
  const roster = await entity.iqCaller.get(xml("query", "jabber:iq:roster"));
  await entity.send(xml("presence"));
  return { entity, address: address.toString(), roster: roster.attrs.xmlns };
}

// Logs in twice as the same installation: with the password, then with the token that it was given for it.
async function beginTwice(username) {
  const userAgent = xml("user-agent", { id: "c5d1f0d2-6c9a-4f0e-9b7e-0a1b2c3d4e5f" });
  let token;
  const proven = [];
  for (let turn = 0; turn < 2; turn++) {
    const credentials = async (callback, mechanisms, fast) => {
      proven.push(token ? "token" : "password");
      fast.saveToken = async (given) => (token = given);
      await callback({ username, password: token ? "forgotten" : password, token }, mechanisms[0], userAgent);
    };
    const entity = client({ service: `xmpp://127.0.0.1:${port}`, domain, credentials, userAgent });
    entity.on("error", () => {});
    await entity.start();
    await entity.stop();
  }
  return { proven, mechanism: token.mechanism };
}

const romeo = await beginTwice("romeo");
const mercutio = await begin("mercutio");
const nurse = await begin("nurse");

const arrival = heard(nurse.entity, (stanza) => stanza.is("message") && stanza.getChildText("body"));
await mercutio.entity.send(
  xml("message", { type: "chat", to: `nurse@${domain}`, id: "m1" }, xml("body", {}, "God save you, fair gentlewoman.")),
);
const message = await arrival;

const results = [];
nurse.entity.on("stanza", (stanza) => {
  const result = stanza.getChild("result", "urn:xmpp:mam:2");
  if (result) {
    results.push({
      id: result.attrs.id,
      body: result.getChild("forwarded", "urn:xmpp:forward:0").getChild("message").getChildText("body"),
    });
  }
});
const query = xml("query", { xmlns: "urn:xmpp:mam:2", queryid: "q" });
const answer = await nurse.entity.iqCaller.request(xml("iq", { type: "set" }, query));
const fin = answer.getChild("fin", "urn:xmpp:mam:2");

console.log(
  JSON.stringify({
    proven: romeo.proven,
    tokenMechanism: romeo.mechanism,
    addresses: [mercutio.address, nurse.address],
    rosters: [mercutio.roster, nurse.roster],
    body: message.getChildText("body"),
    from: message.attrs.from,
    stanzaId: message.getChild("stanza-id", "urn:xmpp:sid:0").attrs.id,
    results,
    complete: fin.attrs.complete,
  }),
);
await Promise.all([mercutio.entity.stop(), nurse.entity.stop()]);
