// SPDX-License-Identifier: Apache-2.0
// The AWS SDK for JavaScript against an API of associations: each operation once, and what it says. Each line of the output is
// one call: what it was, and its result, or its error's name and status.
// usage: associations.mjs URL [KEYS-AS-JSON]
import * as eks from "@aws-sdk/client-eks";

const [url, keys] = process.argv.slice(2);
const client = new eks.EKSClient({
  endpoint: url,
  region: "eu-west-1",
  maxAttempts: 1,
  credentials: keys ? JSON.parse(keys) : { accessKeyId: "none", secretAccessKey: "none" },
  ...(keys ? {} : { httpAuthSchemeProvider: () => [{ schemeId: "smithy.api#noAuth" }],
    httpAuthSchemes: [{ schemeId: "smithy.api#noAuth", identityProvider: () => async () => ({}), signer: { sign: async (r) => r } }] }),
});

async function call(name, input, show) {
  try {
    const { $metadata, ...answer } = await client.send(new eks[`${name}Command`](input));
    console.log(name, $metadata.httpStatusCode, JSON.stringify(show(answer)));
    return answer;
  } catch (error) {
    console.log(name, error.name, error.$metadata?.httpStatusCode, error.message);
    return {};
  }
}

const clusterName = "demo";
const role = "arn:aws:iam::111122223333:role";
const web = { clusterName, namespace: "shop", serviceAccount: "sdk" };
const { association = {} } = await call("CreatePodIdentityAssociation", { ...web, roleArn: `${role}/app`, tags: { team: "a b" } },
  (a) => [a.association.roleArn, a.association.createdAt instanceof Date, a.association.tags]);
const one = { clusterName, associationId: association.associationId };
const resourceArn = association.associationArn;
await call("CreatePodIdentityAssociation", { ...web, roleArn: `${role}/app` }, (a) => a);
await call("CreatePodIdentityAssociation", { ...web, serviceAccount: "other", roleArn: "arn:aws:iam::999922223333:role/app" }, (a) => a);
await call("ListPodIdentityAssociations", { clusterName, namespace: "shop" }, (a) => a.associations.map((s) => s.serviceAccount));
await call("DescribePodIdentityAssociation", one, (a) => a.association.associationId === one.associationId);
await call("UpdatePodIdentityAssociation", { ...one, targetRoleArn: `${role}/b`, disableSessionTags: true },
  (a) => [a.association.targetRoleArn, a.association.disableSessionTags, a.association.externalId]);
await call("UpdatePodIdentityAssociation", { ...one, targetRoleArn: "" }, (a) => [a.association.targetRoleArn]);
await call("TagResource", { resourceArn, tags: { "c/d": "e=f" } }, (a) => a);
await call("ListTagsForResource", { resourceArn }, (a) => a.tags);
await call("UntagResource", { resourceArn, tagKeys: ["c/d", "team"] }, (a) => a);
await call("ListTagsForResource", { resourceArn }, (a) => a.tags);
await call("DescribeCluster", { name: clusterName }, ({ cluster }) =>
  [cluster.arn, cluster.version, atob(cluster.certificateAuthority.data).split("\n")[0]]);
await call("DescribeClusterVersions", {}, (a) => a.clusterVersions.map((v) => [v.clusterVersion, v.defaultVersion]));
await call("DescribeAddon", { clusterName, addonName: "eks-pod-identity-agent" }, (a) => a.addon.status);
await call("DescribeAddon", { clusterName, addonName: "vpc-cni" }, (a) => a);
await call("DeletePodIdentityAssociation", one, (a) => a.association.serviceAccount);
await call("DescribePodIdentityAssociation", one, (a) => a);
