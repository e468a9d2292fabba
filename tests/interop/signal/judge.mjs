// libsignal, asked by lines of JSON on standard input, one answer a line on standard output.
// Bytes are hexadecimal. An answer is {"ok": ...} or {"error": name, "message": text}.
import { createInterface } from 'node:readline';
import * as signal from '@signalapp/libsignal-client';

const hex = (bytes) => Buffer.from(bytes).toString('hex');
const bytes = (text) => new Uint8Array(Buffer.from(text, 'hex'));

class Sessions extends signal.SessionStore {
  kept = new Map();
  async saveSession(address, record) { this.kept.set(address.toString(), record); }
  async getSession(address) { return this.kept.get(address.toString()) ?? null; }
  async getExistingSessions(addresses) { return addresses.map((address) => this.kept.get(address.toString())); }
}

class Identities extends signal.IdentityKeyStore {
  kept = new Map();
  constructor(key, registrationId) { super(); this.key = key; this.registrationId = registrationId; }
  async getIdentityKey() { return this.key; }
  async getLocalRegistrationId() { return this.registrationId; }
  async saveIdentity(address, key) {
    const known = this.kept.get(address.toString());
    this.kept.set(address.toString(), key);
    return known && !known.equals(key) ? signal.IdentityChange.ReplacedExisting : signal.IdentityChange.NewOrUnchanged;
  }
  async isTrustedIdentity(address, key) {
    const known = this.kept.get(address.toString());
    return !known || known.equals(key);
  }
  async getIdentity(address) { return this.kept.get(address.toString()) ?? null; }
}

// The three kinds of prekeys and sender keys are kept alike.
class Kept {
  kept = new Map();
  get(id) {
    if (!this.kept.has(id)) throw new Error(`no key ${id}`);
    return this.kept.get(id);
  }
}
class PreKeys extends signal.PreKeyStore {
  all = new Kept();
  async savePreKey(id, record) { this.all.kept.set(id, record); }
  async getPreKey(id) { return this.all.get(id); }
  async removePreKey(id) { this.all.kept.delete(id); }
}
class SignedPreKeys extends signal.SignedPreKeyStore {
  all = new Kept();
  async saveSignedPreKey(id, record) { this.all.kept.set(id, record); }
  async getSignedPreKey(id) { return this.all.get(id); }
}
class KyberPreKeys extends signal.KyberPreKeyStore {
  all = new Kept();
  used = [];
  async saveKyberPreKey(id, record) { this.all.kept.set(id, record); }
  async getKyberPreKey(id) { return this.all.get(id); }
  async markKyberPreKeyUsed(id) { this.used.push(id); }
}
class SenderKeys extends signal.SenderKeyStore {
  kept = new Map();
  async saveSenderKey(sender, id, record) { this.kept.set(`${sender} ${id}`, record); }
  async getSenderKey(sender, id) { return this.kept.get(`${sender} ${id}`) ?? null; }
}

class Device {
  constructor(name, registrationId) {
    this.address = signal.ProtocolAddress.new(name, 1);
    this.key = signal.PrivateKey.generate();
    this.sessions = new Sessions();
    this.identities = new Identities(this.key, registrationId);
    this.preKeys = new PreKeys();
    this.signedPreKeys = new SignedPreKeys();
    this.kyberPreKeys = new KyberPreKeys();
    this.senderKeys = new SenderKeys();
    this.ids = 0;
  }

  async bundle(oneTime) {
    const id = ++this.ids;
    const now = Date.now();
    const signed = signal.PrivateKey.generate();
    const signedSignature = this.key.sign(signed.getPublicKey().serialize());
    await this.signedPreKeys.saveSignedPreKey(
      id, signal.SignedPreKeyRecord.new(id, now, signed.getPublicKey(), signed, signedSignature));
    const kyber = signal.KEMKeyPair.generate();
    const kyberSignature = this.key.sign(kyber.getPublicKey().serialize());
    await this.kyberPreKeys.saveKyberPreKey(id, signal.KyberPreKeyRecord.new(id, now, kyber, kyberSignature));
    const one = oneTime ? signal.PrivateKey.generate() : null;
    if (one) await this.preKeys.savePreKey(id, signal.PreKeyRecord.new(id, one.getPublicKey(), one));
    return {
      registration_id: this.identities.registrationId,
      device_id: 1,
      prekey_id: one ? id : null,
      prekey: one ? hex(one.getPublicKey().serialize()) : null,
      signed_prekey_id: id,
      signed_prekey: hex(signed.getPublicKey().serialize()),
      signed_prekey_signature: hex(signedSignature),
      identity_key: hex(this.key.getPublicKey().serialize()),
      kyber_prekey_id: id,
      kyber_prekey: hex(kyber.getPublicKey().serialize()),
      kyber_prekey_signature: hex(kyberSignature),
    };
  }

  async process(peer, b) {
    const bundle = signal.PreKeyBundle.new(
      b.registration_id, b.device_id, b.prekey_id, b.prekey && signal.PublicKey.deserialize(bytes(b.prekey)),
      b.signed_prekey_id, signal.PublicKey.deserialize(bytes(b.signed_prekey)), bytes(b.signed_prekey_signature),
      signal.PublicKey.deserialize(bytes(b.identity_key)), b.kyber_prekey_id,
      signal.KEMPublicKey.deserialize(bytes(b.kyber_prekey)), bytes(b.kyber_prekey_signature));
    await signal.processPreKeyBundle(bundle, peer, this.address, this.sessions, this.identities);
  }

  encrypt(peer, plaintext) {
    return signal.signalEncrypt(plaintext, peer, this.address, this.sessions, this.identities);
  }

  decrypt(peer, type, data) {
    return type === 3
      ? signal.signalDecryptPreKey(
        signal.PreKeySignalMessage.deserialize(data), peer, this.address, this.sessions, this.identities,
        this.preKeys, this.signedPreKeys, this.kyberPreKeys)
      : signal.signalDecrypt(
        signal.SignalMessage.deserialize(data), peer, this.address, this.sessions, this.identities);
  }
}

const cpu = () => {
  const { user, system } = process.cpuUsage();
  return user + system;
};
const devices = new Map();
const at = (name) => signal.ProtocolAddress.new(name, 1);

const doings = {
  device({ name, registrationId }) {
    const device = new Device(name, registrationId);
    devices.set(name, device);
    return hex(device.key.getPublicKey().serialize());
  },
  bundle: ({ name, oneTime }) => devices.get(name).bundle(oneTime),
  process: ({ name, peer, bundle }) => devices.get(name).process(at(peer), bundle),
  async encrypt({ name, peer, plaintexts }) {
    const messages = [];
    for (const plaintext of plaintexts) {
      const message = await devices.get(name).encrypt(at(peer), bytes(plaintext));
      messages.push([message.type(), hex(message.serialize())]);
    }
    return messages;
  },
  async decrypt({ name, peer, messages }) {
    const read = [];
    for (const [type, data] of messages) {
      try {
        read.push(hex(await devices.get(name).decrypt(at(peer), type, bytes(data))));
      } catch (error) {
        read.push({ error: error.name, message: error.message });
      }
    }
    return read;
  },
  forget({ name, peer }) { devices.get(name).sessions.kept.delete(at(peer).toString()); },
  trust({ name, peer, identity }) {
    devices.get(name).identities.kept.set(at(peer).toString(), signal.PublicKey.deserialize(bytes(identity)));
  },
  sign: ({ name, message }) => hex(devices.get(name).key.sign(bytes(message))),
  verify: ({ identity, message, signature }) =>
    signal.PublicKey.deserialize(bytes(identity)).verify(bytes(message), bytes(signature)),
  identity: ({ data }) => {
    const pair = signal.IdentityKeyPair.deserialize(bytes(data));
    return [hex(pair.publicKey.serialize()), hex(pair.serialize())];
  },
  fingerprint({ ours, ourKey, theirs, theirKey }) {
    const fingerprint = signal.Fingerprint.new(
      5200, 2, bytes(ours), signal.PublicKey.deserialize(bytes(ourKey)),
      bytes(theirs), signal.PublicKey.deserialize(bytes(theirKey)));
    return [fingerprint.displayableFingerprint().toString(), hex(fingerprint.scannableFingerprint().toBuffer())];
  },
  async distribute({ name, group }) {
    const device = devices.get(name);
    const message = await signal.SenderKeyDistributionMessage.create(device.address, group, device.senderKeys);
    return hex(message.serialize());
  },
  learn: ({ name, sender, message }) => signal.processSenderKeyDistributionMessage(
    at(sender), signal.SenderKeyDistributionMessage.deserialize(bytes(message)), devices.get(name).senderKeys),
  async groupEncrypt({ name, group, plaintexts }) {
    const device = devices.get(name);
    const messages = [];
    for (const plaintext of plaintexts) {
      const message = await signal.groupEncrypt(device.address, group, device.senderKeys, bytes(plaintext));
      messages.push(hex(message.serialize()));
    }
    return messages;
  },
  async groupDecrypt({ name, sender, messages }) {
    const read = [];
    for (const message of messages) {
      read.push(hex(await signal.groupDecrypt(at(sender), devices.get(name).senderKeys, bytes(message))));
    }
    return read;
  },
  // CPU time of messages of 256 bytes, each answered: microseconds to encrypt and decrypt one.
  async speed({ rounds }) {
    const [a, b] = [new Device('a', 1), new Device('b', 2)];
    await a.process(b.address, await b.bundle(true));
    const plaintext = new Uint8Array(256);
    const begin = cpu();
    for (let round = 0; round < rounds; round += 1) {
      for (const [from, to] of [[a, b], [b, a]]) {
        const message = await from.encrypt(to.address, plaintext);
        await to.decrypt(from.address, message.type(), message.serialize());
      }
    }
    return (cpu() - begin) / (2 * rounds);
  },
  // The same without answers: all in one chain.
  async speedOneWay({ rounds }) {
    const [a, b] = [new Device('a', 1), new Device('b', 2)];
    await a.process(b.address, await b.bundle(true));
    const first = await a.encrypt(b.address, new Uint8Array(1));
    await b.decrypt(a.address, first.type(), first.serialize());
    const answer = await b.encrypt(a.address, new Uint8Array(1));
    await a.decrypt(b.address, answer.type(), answer.serialize());
    const plaintext = new Uint8Array(256);
    const begin = cpu();
    for (let round = 0; round < rounds; round += 1) {
      const message = await a.encrypt(b.address, plaintext);
      await b.decrypt(a.address, message.type(), message.serialize());
    }
    return (cpu() - begin) / rounds;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { what, ...arguments_ } = JSON.parse(line);
  let answer;
  try {
    answer = { ok: (await doings[what](arguments_)) ?? null };
  } catch (error) {
    answer = { error: error.name, message: error.message };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
