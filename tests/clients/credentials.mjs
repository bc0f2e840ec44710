// SPDX-License-Identifier: Apache-2.0
// Ask the AWS SDK for JavaScript for credentials, by its default chain, and print whose they are; with --again once more for
// each line of the input.
import { fromNodeProviderChain } from "@aws-sdk/credential-providers";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

if (process.argv[2] === "--version") {
  const file = new URL("node_modules/@aws-sdk/credential-providers/package.json", import.meta.url);
  console.log(JSON.parse(readFileSync(file)).version);
  process.exit();
}
const provider = fromNodeProviderChain(); // keeps them until they end soon

async function ask() {
  const credentials = await provider();
  console.log(`accessKeyId=${credentials.accessKeyId} expiration=${credentials.expiration?.toISOString()}`);
}

try {
  await ask();
  if (process.argv[2] === "--again") {
    for await (const _ of createInterface({ input: process.stdin })) await ask();
  }
} catch (error) {
  console.log(`none: ${error.message}`);
  process.exit(1);
}
