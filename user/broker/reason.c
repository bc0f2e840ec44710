// SPDX-License-Identifier: Apache-2.0
#include "broker/reason.h"

/* What SDKs repeat by themselves is 429, 500 and 503. */
#define DENIED	    403, "AccessDeniedException"
#define UNKNOWN	    403, "UnrecognizedClientException"
#define INVALID	    400, "InvalidParameterException"
#define UNAVAILABLE 503, "ServiceUnavailableException"
#define NOT_FOUND   404, "ResourceNotFoundException"

static const struct {
	const char *name;
	struct broker_refusal refusal;
} rows[BROKER_REASONS] = {
	[BROKER_GRANTED] = {"granted", {}},
	[BROKER_BAD_REQUEST] = {"bad_request",
				{400, "InvalidRequestException",
				 "this is no request of the operation"}},
	[BROKER_TOO_LARGE] = {"too_large",
			      {413, "InvalidRequestException", "the request is too large"}},
	[BROKER_NO_OPERATION] = {"no_operation",
				 {404, "UnknownOperationException", "there is no such operation"}},
	[BROKER_OTHER_CLUSTER] = {"other_cluster", {NOT_FOUND, "no such cluster here"}},
	[BROKER_BUSY] = {"busy",
			 {429, "ThrottlingException",
			  "too many requests are waiting; ask again later"}},
	[BROKER_NO_TOKEN] = {"no_token",
			     {403, "MissingAuthenticationTokenException",
			      "show the agent's own token: Authorization: Bearer TOKEN"}},
	[BROKER_CALLER_REFUSED] = {"caller_refused", {UNKNOWN, "the caller's token is refused"}},
	[BROKER_BAD_SIGNATURE] =
		{"bad_signature",
		 {403, "InvalidSignatureException",
		  "the signature is not that of the keys, or not for this service and region"}},
	[BROKER_CLOCK] =
		{"clock",
		 {403, "InvalidSignatureException",
		  "Signature expired: it was made more than 15 minutes before or after now"}},
	[BROKER_KEYS_EXPIRED] = {"keys_expired",
				 {403, "ExpiredTokenException",
				  "the keys have ended; get others by AssumeRoleWithWebIdentity"}},
	[BROKER_CALLER_NOT_LISTED] =
		{"caller_not_listed",
		 {UNKNOWN,
		  "the caller is none of the service accounts that may ask; see broker.agents"}},
	[BROKER_CALLER_NOT_OF_POD] = {"caller_not_of_pod",
				      {UNKNOWN, "the caller's token is not bound to a pod"}},
	[BROKER_CALLER_GONE] = {"caller_gone",
				{UNKNOWN, "the pod of the caller's token does not exist any more"}},
	[BROKER_NODE_REPLACED] =
		{"node_replaced",
		 {UNKNOWN, "the caller's node has been replaced by another one of that name"}},
	[BROKER_POD_TOKEN_REFUSED] = {"pod_token_refused",
				      {400, "InvalidTokenException", "the pod's token is refused"}},
	[BROKER_POD_UNKNOWN] = {"pod_unknown",
				{UNAVAILABLE, "the broker does not know this pod (yet)"}},
	[BROKER_POD_ENDED] = {"pod_ended", {DENIED, "the pod has ended"}},
	[BROKER_OTHER_NODE] = {"other_node", {DENIED, "the pod does not run on the caller's node"}},
	[BROKER_OTHER_POD] = {"other_pod", {DENIED, "the token is another pod's"}},
	[BROKER_NO_ACCOUNT] = {"no_account", {DENIED, "the pod has no service account"}},
	[BROKER_API_AWAY] = {"api_away",
			     {UNAVAILABLE, "the API server cannot be asked about tokens now"}},
	[BROKER_NO_ASSOCIATION] = {"no_association",
				   {NOT_FOUND,
				    "nothing is associated with the pod's service account"}},
	[BROKER_ROLE_NOT_ALLOWED] = {"role_not_allowed",
				     {403, "RoleNotAllowedException",
				      "no PodIdentityRolePolicy lets the namespace have the role"}},
	[BROKER_DENIED] = {"denied", {DENIED, "the role is not given to the pod"}},
	[BROKER_INVALID] = {"invalid", {INVALID, "the association cannot be granted"}},
	[BROKER_THROTTLED] = {"throttled",
			      {429, "ThrottlingException",
			       "AWS has too much to do; ask again later"}},
	[BROKER_UPSTREAM] = {"upstream", {UNAVAILABLE, "AWS does not answer"}},
	[BROKER_LATE] = {"late", {UNAVAILABLE, "AWS has not answered yet; ask again"}},
	[BROKER_BROKEN] = {"broken",
			   {500, "InternalServerException", "the broker has failed; see its log"}},
};

const char *broker_reason_name(enum broker_reason reason)
{
	return rows[reason].name;
}

const struct broker_refusal *broker_reason_refusal(enum broker_reason reason)
{
	return &rows[reason].refusal;
}
