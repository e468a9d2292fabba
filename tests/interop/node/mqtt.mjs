// Two clients of the library `mqtt` over WebSocket, one of 5.0 and one of 3.1.1, talk at every quality of service; prints
// what was heard as JSON. Arguments: port of `http`, password.
import mqtt from "mqtt";

const [port, password] = process.argv.slice(2);

async function begin(username, protocolVersion) {
  return mqtt.connectAsync(`ws://127.0.0.1:${port}/mqtt`, { username, password, protocolVersion, reconnectPeriod: 0 });
}

const reader = await begin("juliet", 5);
const writer = await begin("romeo", 4);
const heard = [];
const all = new Promise((resolve) => {
  reader.on("message", (topic, payload, packet) => {
    heard.push([topic, payload.toString(), packet.qos]);
    if (heard.length === 3) resolve();
  });
});
const granted = await reader.subscribeAsync("ws/#", { qos: 2 });
for (const qos of [0, 1, 2]) await writer.publishAsync("ws/greeting", `hello ${qos} \u{1F319}`, { qos });
await all;
await Promise.all([reader.endAsync(), writer.endAsync()]);
console.log(JSON.stringify({ heard, granted: granted.map((each) => each.qos) }));
process.exit(0);
