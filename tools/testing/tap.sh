# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# Results as TAP, for shell scripts inside and outside of machines: ". tap.sh", and "tap_end" at the end.

tap_number=0
tap_failed=0

# tap_result STATUS NAME [LOG]: LOG is shown if STATUS is not 0
tap_result() {
	tap_number=$((tap_number + 1))
	if [ "$1" = 0 ]; then
		echo "ok $tap_number - $2"
		return
	fi
	echo "not ok $tap_number - $2"
	[ -z "${3:-}" ] || sed 's/^/# /' "$3"
	tap_failed=1
}

# tap_relay FILE [PREFIX]: takes over what another TAP program printed, with this one's numbers
tap_relay() {
	while IFS= read -r tap_line; do
		case $tap_line in
		ok\ *) tap_result 0 "${2:-}${tap_line#ok * - }" ;;
		not\ ok\ *) tap_result 1 "${2:-}${tap_line#not ok * - }" ;;
		\#*) echo "$tap_line" ;;
		esac
	done < "$1"
}

# tap_machine STATUS NAME LOG: how a machine ended. Where it stood at a time-out is far before its log's end.
tap_machine() {
	{
		sed -n '/^machine: where it stands/,/^machine: still running/p' "$3"
		tail -n 60 "$3"
	} > "$3.end"
	tap_result "$1" "$2" "$3.end"
}

# say WORDS...: a remark among the results
say() {
	echo "# $*"
}

# expect NAME COMMAND...: it succeeds
expect() {
	tap_name=$1
	shift
	"$@"
	tap_result $? "$tap_name"
}

# tap_end: the plan; its status is that of the script
tap_end() {
	echo "1..$tap_number"
	return $tap_failed
}
