# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# Of what gcov --stdout tells, of any number of runs and objects: a table of the files
# of kmod/ and userspace/, and in the file that the variable "unreached" names the lines
# that no run has reached.

match($0, /^ *[^ :]+: *0:Source:/) {
	file = substr($0, RLENGTH + 1)
	sub(/^.*\/src\//, "", file)
	ours = file ~ /^(kmod|userspace)\//
	next
}

!ours {
	next
}

match($0, /^ *[^ :]+: *[0-9]+:/) {
	split(substr($0, 1, RLENGTH), part, ":")
	gsub(/[ *]/, "", part[1])
	at = file SUBSEP part[2] + 0
	if (part[1] != "-") {
		lines[at] += part[1] + 0
		text[at] = substr($0, RLENGTH + 1)
	}
}

/^branch +[0-9]+ / {
	branches[at SUBSEP $2] += $3 == "taken" ? $4 : 0
}

function add(kind, at, count, part) {
	split(at, part, SUBSEP)
	add_to(part[1], kind, count)
	sub(/\/.*/, "/", part[1])
	add_to(part[1], kind, count)
}

function add_to(name, kind, count) {
	names[name] = 1
	all[name, kind]++
	got[name, kind] += count > 0
}

function share(name, kind) {
	if (!all[name, kind])
		return ""
	return sprintf("%6d of %6d %6.1f %%", got[name, kind], all[name, kind],
		       100 * got[name, kind] / all[name, kind])
}

END {
	sort = "sort -t: -k1,1 -k2,2n >'" unreached "'"
	for (at in lines) {
		add("lines", at, lines[at])
		if (!lines[at]) {
			split(at, part, SUBSEP)
			print part[1] ":" part[2] ":" text[at] | sort
		}
	}
	close(sort)
	for (at in branches)
		add("branches", at, branches[at])
	printf "%-34s %26s %26s\n", "file", "lines reached", "branches taken"
	for (name in names)
		printf "%-34s %26s %26s\n", name, share(name, "lines"), share(name, "branches") | "sort"
}
