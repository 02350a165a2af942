# SPDX-License-Identifier: GPL-2.0-only
# fish completion for gondola; options are those that "gondola help COMMAND" names.
set -l commands run create clone start list status metrics pause unpause suspend resume stop kill delete console \
    events balloon balance set inspect dump gdb migrate receive migrate-cancel migrate-recover probe help

complete -c gondola -n "not __fish_seen_subcommand_from $commands" -f -a "$commands"
complete -c gondola -n "__fish_seen_subcommand_from help" -f -a "$commands"
complete -c gondola -n "__fish_seen_subcommand_from $commands" -a \
    "(gondola list 2>/dev/null | awk 'NR > 1 { print \$1 }')"
complete -c gondola -n "string match -q -- '-*' (commandline -ct)" -a \
    "(gondola help (commandline -opc)[2] 2>/dev/null | grep -oE -- '--[a-z][a-z-]+' | sort -u)"
