/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The section credentials: of the configuration file: where podcred fetch gets the credentials of pods
 * from, and with what it asks. It holds no secrets. All strings are NUL-terminated; an empty one is not
 * in the file.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of associations that name no source, of objects and of annotations. */
enum config_source {
	CONFIG_SOURCE_STS,
	CONFIG_SOURCE_WEB_IDENTITY,
	CONFIG_SOURCE_EKS_AUTH,
	CONFIG_SOURCE_BROKER,
	CONFIG_SOURCE_ISSUER, /* podcred broker only: tokens of its own */
};

/* Where the node's own credentials are looked for. */
enum config_node_kind {
	CONFIG_NODE_ENVIRONMENT, /* AWS_ACCESS_KEY_ID and the like */
	CONFIG_NODE_FILE, /* a shared credentials file */
	CONFIG_NODE_WEB_IDENTITY, /* a token file, and a role */
	CONFIG_NODE_IMDS,
	CONFIG_NODE_EXEC, /* a program */
	CONFIG_NODE_ROLES_ANYWHERE, /* IAM Roles Anywhere: a certificate */
	CONFIG_NODE_KINDS,
};

#define CONFIG_PATH_SIZE 1024
#define CONFIG_URL_SIZE	 512
#define CONFIG_ARN_SIZE	 640 /* the longest ARN of a role has 592 characters or so */

struct config_node_credentials {
	uint8_t kind; /* enum config_node_kind */
	char path
		[CONFIG_PATH_SIZE]; /* file: of the file; webIdentity: of the token. Empty: what the
				      * environment says, as SDKs have it */
	/* rolesAnywhere: path is the certificate's */
	char key[CONFIG_PATH_SIZE];
	char trust_anchor_arn[256], profile_arn[256];
	char profile[128]; /* file; empty: AWS_PROFILE, else default */
	char role_arn[CONFIG_ARN_SIZE]; /* webIdentity; empty: AWS_ROLE_ARN */
	char command[4096]; /* exec: program and arguments, each with its NUL; then an empty one */
	char environment[4096]; /* exec: NAME=VALUE, each with its NUL; then an empty one */
};

enum config_verify {
	CONFIG_VERIFY_JWKS, /* by the cluster's keys; else by the API server */
	CONFIG_VERIFY_REVIEW, /* by the API server, with TokenReview */
	CONFIG_VERIFY_OFF, /* not at all: the kernel's word is enough */
};

enum config_pattern {
	CONFIG_PATTERN_GLOB,
	CONFIG_PATTERN_REGEXP,
};

#define CONFIG_MAX_ISSUERS 8
#define CONFIG_MAX_IMDS	   64

struct config_credentials {
	bool given; /* the file has that section: credentials are fetched */
	enum config_source source;
	char region[64]; /* empty: AWS_REGION, AWS_DEFAULT_REGION, else IMDS */
	char cluster_name[101]; /* of EKS, or what tags and session names are to say */
	char cluster_arn[256]; /* arn:aws:eks:REGION:ACCOUNT:cluster/NAME; NAME is cluster_name */
	char sts_endpoint[CONFIG_URL_SIZE], eks_auth_endpoint[CONFIG_URL_SIZE],
		roles_anywhere_endpoint[CONFIG_URL_SIZE],
		imds_endpoint[CONFIG_URL_SIZE]; /* empty: AWS's own for the region */
	bool fips, dual_stack;
	char proxy
		[CONFIG_URL_SIZE]; /* for AWS, not for IMDS and the API server; empty: none, whatever
				      * the environment says */
	char no_proxy[1024]; /* as curl(1) has it */
	char ca_bundle[CONFIG_PATH_SIZE]; /* empty: the system's */
	struct {
		char url[CONFIG_URL_SIZE];
		char ca_bundle[CONFIG_PATH_SIZE]; /* empty: the system's */
		char token_file[CONFIG_PATH_SIZE]; /* of podcred's own token for it */
	} broker; /* source broker: who is asked, and as whom */
	/* In this order; the first that has some is used. None in the file: all but exec. */
	struct config_node_credentials node[CONFIG_NODE_KINDS];
	size_t n_node;
	struct {
		enum config_verify verify;
		char audience[256]; /* pods.eks.amazonaws.com */
		char issuers[CONFIG_MAX_ISSUERS][CONFIG_URL_SIZE];
		size_t n_issuers; /* 0: what the cluster's discovery document says */
	} tokens;
	char web_identity_audience[256]; /* sts.amazonaws.com */
	struct {
		bool kube2iam, kiam, irsa;
		char base_role_arn
			[CONFIG_ARN_SIZE]; /* put before a role that is no ARN; ends with / */
		char default_role
			[CONFIG_ARN_SIZE]; /* kube2iam's: an ARN; of pods that ask for none */
		enum config_pattern allowed_roles; /* how kube2iam's annotation is written */
	} migration;
	/* What pods may read of the rest of IMDS, below /latest/; the whole tree below one that ends with /. */
	char imds[CONFIG_MAX_IMDS][128];
	size_t n_imds;
	bool objects; /* PodIdentityAssociation objects of the API count */
};
