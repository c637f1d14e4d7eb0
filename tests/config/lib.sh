# SPDX-License-Identifier: BSD-2-Clause
#
# For the scripts of this layer: results, and a folder for scratch.

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

ok() {
	echo "ok config.$1"
}

# not_ok NAME WHY
not_ok() {
	echo "not ok config.$1: $(printf '%s' "$2" | tr '\n' '|')"
}

# check NAME WHY COMMAND...: COMMAND succeeds.
check() {
	local name=$1 why=$2
	shift 2
	if "$@"; then
		ok "$name"
	else
		not_ok "$name" "$why"
	fi
}

# is NAME ACTUAL EXPECTED
is() {
	check "$1" "'$2', not '$3'" [ "$2" = "$3" ]
}

# holds NAME FILE PATTERN: a line of FILE matches.
holds() {
	check "$1" "no '$3' in: $(head -c 2000 "$2" 2>&1)" grep -qE -- "$3" "$2"
}
