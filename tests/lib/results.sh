# SPDX-License-Identifier: BSD-2-Clause
#
# Sourced by the tests that are shell scripts, on the build machine (bash) and in an emulated
# host (busybox, where it is /with/results.sh): one line for each test, as tests/layer reads
# them, and a folder for scratch that goes with the script.
#
# $results_prefix, set before this is sourced, is what the names begin with. $failed is 1 once
# a test has failed.

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

ok() {
	echo "ok ${results_prefix:-}$1"
}

# not_ok NAME WHY
not_ok() {
	echo "not ok ${results_prefix:-}$1: $(printf '%s' "$2" | tr '\n' '|')"
	failed=1
}

# check NAME WHY COMMAND...: COMMAND succeeds.
check() {
	check_name=$1 check_why=$2
	shift 2
	if "$@"; then
		ok "$check_name"
	else
		not_ok "$check_name" "$check_why"
	fi
}

# is NAME ACTUAL EXPECTED: two strings are the same.
is() {
	check "$1" "'$2', not '$3'" [ "$2" = "$3" ]
}

# holds NAME FILE PATTERN: a line of FILE matches.
holds() {
	check "$1" "no '$3' in: $(head -c 2000 "$2" 2>&1)" grep -qE -- "$3" "$2"
}
