// Reads a public JWK and prints its RFC 7638 thumbprint, as somebody else's library computes it.
import { json } from "node:stream/consumers";
import { calculateJwkThumbprint } from "jose";

const key = await json(process.stdin);
console.log(JSON.stringify({ thumbprint: await calculateJwkThumbprint(key) }));
