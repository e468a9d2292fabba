// strophe.js as a promise.
import { Strophe, $msg, $pres, $iq } from "strophe.js";

Strophe.setLogLevel(Strophe.LogLevel.WARN);
export { Strophe, $msg, $pres, $iq };

export async function begin(service, jid, password, options = {}) {
  const connection = new Strophe.Connection(service, options);
  const statuses = [];
  const ended = new Promise((resolve) => (connection.onEnd = resolve));
  await new Promise((resolve, reject) => {
    connection.connect(jid, password, (status, condition) => {
      statuses.push(status);
      if (status === Strophe.Status.CONNECTED) resolve();
      if (status === Strophe.Status.AUTHFAIL || status === Strophe.Status.CONNFAIL) reject(new Error(condition));
      if (status === Strophe.Status.DISCONNECTED) connection.onEnd();
    });
  });
  connection.send($pres());
  // Of one sender: others may have written before, to somebody who was away.
  const next = (name, from) =>
    new Promise((resolve) => {
      connection.addHandler((stanza) => void resolve(stanza) ?? false, null, name, null, null, from);
    });
  const ask = (payload) => new Promise((resolve, reject) => connection.sendIQ(payload, resolve, reject));
  const end = () => {
    connection.disconnect("done");
    return ended;
  };
  return { connection, statuses, next, ask, end };
}
