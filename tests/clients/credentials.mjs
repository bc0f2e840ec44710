// SPDX-License-Identifier: Apache-2.0
// Ask the AWS SDK for JavaScript for credentials, by its default chain, and print whose they are.
import { fromNodeProviderChain } from "@aws-sdk/credential-providers";

try {
  const credentials = await fromNodeProviderChain()();
  console.log(`accessKeyId=${credentials.accessKeyId} expiration=${credentials.expiration?.toISOString()}`);
} catch (error) {
  console.log(`none: ${error.message}`);
  process.exit(1);
}
