// SPDX-License-Identifier: Apache-2.0
/* MODULES: base */
/* Names of Kubernetes objects, against the regular expressions of RFC 1123. */
#include "fuzz.h"

#include <regex.h>

#include "base/k8s_name.h"

#define LABEL "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
#define VALUE "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"

static bool matches(const char *expression, const char *text)
{
	regex_t regex;
	bool match;

	MUST(regcomp(&regex, expression, REG_EXTENDED | REG_NOSUB) == 0);
	match = regexec(&regex, text, 0, NULL, 0) == 0;
	regfree(&regex);
	return match;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_copy(data, size), *words = fuzz_string(data, size);
	bool whole = strlen(words) == size; /* no NUL in it, which no name has */

	MUST(k8s_is_label(text, size) == (whole && size <= 63 && matches("^" LABEL "$", words)));
	MUST(k8s_is_subdomain(text, size) ==
	     (whole && size <= 253 && matches("^" LABEL "(\\." LABEL ")*$", words)));
	MUST(k8s_is_label_value(text, size) == (whole && (!size || matches("^" VALUE "$", words))));
	MUST(k8s_is_label_key(text, size) ==
	     (whole && (matches("^" VALUE "$", words) ||
			(matches("^" LABEL "(\\." LABEL ")*/" VALUE "$", words) &&
			 strchr(words, '/') - words <= 253))));
	free(words);
	free(text);
	return 0;
}
