#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# What it is all for: a file in a container changes, and the extents that it
# is in are sent, nothing else. With rsync and its daemon, with rclone to a folder
# and to a WebDAV server, from a container at rest and from one in use; and the
# other way round, what rsync and btrfs send write into a container.
#
# One kernel will do.

load common

remote=/mnt/remote # what is behind the servers
source=/mnt/source # a file system to send from
dav=http://127.0.0.1:8731
rclone=(rclone --config /dev/null --use-json-log -v)

teardown() {
	[ -z "${server-}" ] || { kill "$server" && wait "$server"; } 2>/dev/null || true
	mountpoint -q "$source" && umount "$source"
	cd /
	clean_up
	rm -rf "$remote"
}

# A disk in 16 extents of 8 MiB, with a file system and some files on it; at rest.
setup() {
	make_backing ext4
	mkdir -p "$remote" "$source"
	cd "$BACKING" || return
	svmdk create -e 8M c.vmdk 128M
	dev=$(svmdk attach c.vmdk)
}

fill() {
	mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0,nodiscard "$dev"
	mount "$dev" "$ABOVE"
	for number in {1..40}; do
		random_bytes 1M >"$ABOVE/file$number"
	done
	rest
	svmdk manifest c.vmdk
}

rest() {
	umount "$ABOVE"
	svmdk detach "$dev"
}

# What a user does to it, and what that has to come to: $changed, by the mtimes.
change_files() {
	stat -c '%n %y' c-f* >"$BATS_TEST_TMPDIR/times"
	dev=$(svmdk attach c.vmdk)
	mount "$dev" "$ABOVE"
	random_bytes 100k | dd of="$ABOVE/file7" conv=notrunc status=none
	random_bytes 10 >"$ABOVE/new"
	rm "$ABOVE/file9"
	sync -f "$ABOVE"
	sync "$dev"
	(cd "$ABOVE" && md5sum f* new) >"$BATS_TEST_TMPDIR/sums"
}

# After change_files, and what came after that.
find_changed() {
	changed=$(stat -c '%n %y' c-f* | diff - "$BATS_TEST_TMPDIR/times" |
		sed -n 's/^< \([^ ]*\) .*/\1/p')
	bytes=$(($(wc -w <<<"$changed") << 23))
	echo "changed extents: $(xargs <<<"$changed")"
	((bytes > 0 && bytes < (100 << 20)))
}

# The copy is a disk with the same files, undamaged.
is_whole() {
	svmdk verify "$1"
	dev=$(svmdk attach "$1")
	fsck.ext4 -fn "$dev"
	mount "$dev" "$ABOVE"
	(cd "$ABOVE" && md5sum --quiet -c "$BATS_TEST_TMPDIR/sums")
	rest
}

# rsync's daemon on loopback, with a module "containers".
serve_rsync() {
	cat >"$BATS_TEST_TMPDIR/rsyncd.conf" <<-EOF
		use chroot = no
		uid = 0
		gid = 0
		[containers]
		path = $remote
		read only = no
	EOF
	rsync --daemon --no-detach --address 127.0.0.1 --port 8730 \
		--config "$BATS_TEST_TMPDIR/rsyncd.conf" 3>&- &
	server=$!
	eventually rsync rsync://127.0.0.1:8730/
}

# As documented, whole files; $sent is what was, and $literal how many bytes.
rsync_changed() {
	svmdk changed -0 "$1" >"$BATS_TEST_TMPDIR/list"
	rsync -aIW --from0 --files-from="$BATS_TEST_TMPDIR/list" --stats --out-format='> %n' \
		. rsync://127.0.0.1:8730/containers/ >"$BATS_TEST_TMPDIR/stats"
	cat "$BATS_TEST_TMPDIR/stats"
	sent=$(sed -n 's/^> //p' "$BATS_TEST_TMPDIR/stats" | grep -v '/$' | LC_ALL=C sort)
	literal=$(sed -n 's/^Literal data: \([0-9,]*\) bytes.*/\1/p' "$BATS_TEST_TMPDIR/stats" | tr -d ,)
	wire=$(sed -n 's/^Total bytes sent: \([0-9,]*\).*/\1/p' "$BATS_TEST_TMPDIR/stats" | tr -d ,)
}

# Beside the extents only the descriptor and what says what it has, a few kilobytes.
sent_exactly() {
	equal "$(xargs <<<"$changed")" "$(grep -e '-f[0-9]*.vmdk$' <<<"$sent" | xargs)"
	equal "" "$(grep -vE -e '^c.vmdk(.sha256|.svmdk)?$' -e '-f[0-9]*.vmdk$' <<<"$sent" | xargs)"
	((literal >= bytes && literal < bytes + 65536))
}

@test "rsync to its daemon: the changed extents are sent, and nothing else" {
	fill
	serve_rsync
	rsync -a ./ rsync://127.0.0.1:8730/containers/
	change_files
	rest
	find_changed
	rsync_changed c.vmdk
	sent_exactly
	((wire < bytes + 131072))
	is_whole "$remote/c.vmdk"
	# Once that is done the manifest is brought up to date, and there is nothing left to send.
	rsync -a --delete ./ rsync://127.0.0.1:8730/containers/
	svmdk manifest c.vmdk
	changed=
	bytes=0
	rsync_changed c.vmdk
	((literal < 65536))
	equal "" "$(grep -e -f <<<"$sent" || true)"
	svmdk verify "$remote/c.vmdk" | grep -F ' 0 changed'
	(cd "$remote" && sha256sum --quiet -c c.vmdk.sha256)
}

@test "rsync from a disk in use: a consistent copy first, then the changed extents" {
	fill
	mkdir stage
	svmdk copy c.vmdk stage
	serve_rsync
	rsync -a stage/ rsync://127.0.0.1:8730/containers/
	change_files
	svmdk copy c.vmdk stage
	find_changed
	cd stage
	rsync_changed c.vmdk
	cd "$BACKING"
	sent_exactly
	rest
	is_whole "$remote/c.vmdk"
}

# rclone_changed REMOTE: $sent and $literal as above. All that is listed goes,
# whatever the remote knows of times.
rclone_changed() {
	svmdk changed c.vmdk | "${rclone[@]}" copy --ignore-times --files-from-raw - . "$1" \
		2>"$BATS_TEST_TMPDIR/log"
	sent=$(jq -r 'select(.msg | test("^Copied")) | .object' "$BATS_TEST_TMPDIR/log" | LC_ALL=C sort)
	literal=$(jq -r 'select(.stats) | .stats.bytes' "$BATS_TEST_TMPDIR/log" | tail -n 1)
	echo "sent $literal bytes: $(xargs <<<"$sent")"
}

@test "rclone to a folder: the changed extents are sent, and nothing else" {
	fill
	"${rclone[@]}" copy . "$remote"
	change_files
	rest
	find_changed
	rclone_changed "$remote"
	sent_exactly
	is_whole "$remote/c.vmdk"
}

@test "rclone to a WebDAV server: the changed extents are sent, and nothing else" {
	fill
	"${rclone[@]}" serve webdav --addr 127.0.0.1:8731 "$remote" 2>/dev/null 3>&- &
	server=$!
	eventually is_served
	"${rclone[@]}" copy . ":webdav,url='$dav':"
	change_files
	rest
	find_changed
	rclone_changed ":webdav,url='$dav':"
	sent_exactly
	# Times do not travel that way: a manifest that is up to date does without.
	svmdk manifest c.vmdk
	rclone_changed ":webdav,url='$dav':"
	((literal < 65536))
	is_whole "$remote/c.vmdk"
}

is_served() {
	"${rclone[@]}" lsf ":webdav,url='$dav':"
}

# The extents of the disk that changed since count_from.
count_from() {
	sync -f "$ABOVE"
	svmdk manifest "$BACKING/c.vmdk"
}

count_changed() {
	sync -f "$ABOVE"
	svmdk changed "$BACKING/c.vmdk" | grep -c -- '-f[0-9]*.vmdk$'
}

@test "rsync into a container: a changed file changes few extents" {
	local number
	mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0,nodiscard "$dev"
	mount "$dev" "$ABOVE"
	for number in {1..40}; do
		random_bytes 1M >"$remote/file$number"
	done
	rsync -a "$remote/" "$ABOVE/"
	count_from
	random_bytes 100k | dd of="$remote/file7" conv=notrunc status=none
	rsync -a --inplace "$remote/" "$ABOVE/"
	number=$(count_changed)
	echo "$number of 16 extents changed"
	((number > 0 && number < 10))
	diff -r --exclude=lost+found "$remote" "$ABOVE"
	umount "$ABOVE"
}

@test "btrfs send and receive into a container: an increment changes few extents" {
	local number
	mkfs.btrfs -q -f -K /job/disks/spare
	mount /job/disks/spare "$source"
	btrfs -q subvolume create "$source/work"
	for number in {1..30}; do
		random_bytes 1M >"$source/work/file$number"
	done
	btrfs -q subvolume snapshot -r "$source/work" "$source/first"
	mkfs.btrfs -q -K -m single "$dev"
	mount "$dev" "$ABOVE"
	btrfs send -q "$source/first" | btrfs receive -q "$ABOVE"
	count_from
	random_bytes 100k | dd of="$source/work/file7" conv=notrunc status=none
	random_bytes 10k >"$source/work/new"
	btrfs -q subvolume snapshot -r "$source/work" "$source/second"
	btrfs send -q -p "$source/first" "$source/second" | btrfs receive -q "$ABOVE"
	number=$(count_changed)
	echo "$number of 16 extents changed"
	((number > 0 && number < 10))
	diff -r "$source/second" "$ABOVE/second"
	umount "$ABOVE"
	svmdk detach "$dev"
	svmdk verify "$BACKING/c.vmdk"
}

# send_listed DIR: as documented; $list goes when all in it has arrived
send_listed() {
	rsync -aI --ignore-missing-args --from0 --files-from="$list" . "$1" && rm "$list"
}

# is_copy DIR: all that there is
is_copy() {
	local file
	for file in c.vmdk c.vmdk.sha256 c.vmdk.svmdk c-f*.vmdk; do
		cmp "$file" "$1/$file"
	done
	svmdk verify "$1/c.vmdk"
}

@test "what is written while it is hashed or sent, and what did not arrive, is in the next list" {
	local list=$BATS_TEST_TMPDIR/list
	mkdir "$remote/to"
	svmdk manifest --changed -0 c.vmdk >>"$list"
	equal 19 "$(tr '\0' '\n' <"$list" | wc -l)"
	write_disk "$dev" 0 4096
	send_listed "$remote/to"
	# It fails; and meanwhile more is written, in the second of what goes then.
	svmdk manifest --changed -0 c.vmdk >>"$list"
	refused 'rsync' send_listed "$remote/no/folder"
	write_disk "$dev" $((40 << 20)) 4096
	svmdk manifest --changed -0 c.vmdk >>"$list"
	# Of an extent that was there when the list was begun.
	printf 'gone\0' >>"$list"
	equal "c-f001.vmdk c-f006.vmdk" "$(tr '\0' '\n' <"$list" | grep -e -f0 | sort -u | xargs)"
	send_listed "$remote/to"
	for _ in {1..5}; do
		write_disk "$dev" $((56 << 20)) 4096
		svmdk manifest --changed -0 c.vmdk >>"$list"
		send_listed "$remote/to"
	done
	# A list that cannot be written is no list, and the manifest stays.
	write_disk "$dev" $((64 << 20)) 4096
	svmdk detach c.vmdk
	refused 'cannot print what changed; the manifest is as it was: No space left' \
		eval 'svmdk manifest --changed c.vmdk >/dev/full'
	svmdk manifest --changed -0 c.vmdk >>"$list"
	equal "c-f009.vmdk c.vmdk c.vmdk.sha256 c.vmdk.svmdk" "$(tr '\0' ' ' <"$list" | xargs)"
	send_listed "$remote/to"
	is_copy "$remote/to"
	# What is damaged does not take the place of a good copy.
	local bad=c-f010.vmdk
	cp -p $bad "$BATS_TEST_TMPDIR/good"
	flip_bit $bad 99
	touch -r "$BATS_TEST_TMPDIR/good" $bad
	refused 'c-f010.vmdk is damaged' eval "svmdk manifest --changed -0 c.vmdk >>'$list'"
	equal "c.vmdk.sha256 c.vmdk.svmdk" "$(tr '\0' ' ' <"$list" | xargs)"
	svmdk repair c.vmdk --from "$remote/to"
	cmp $bad "$BATS_TEST_TMPDIR/good"
}

@test "names that are comments to rsync are sent, and those that it cannot send by a list are said" {
	local name
	svmdk detach c.vmdk
	for name in '#1' ';2' '-3' '* 4'; do
		svmdk create "./$name.vmdk" 128K -e 64K
		svmdk changed -0 "./$name.vmdk" >"$BATS_TEST_TMPDIR/list"
		rsync -aI --from0 --files-from="$BATS_TEST_TMPDIR/list" . "$remote"
		cmp "./$name.vmdk" "$remote/$name.vmdk"
		cmp "./$name-f002.vmdk" "$remote/$name-f002.vmdk"
	done
	mkdir "$ABOVE/away"
	mv c-f002.vmdk "$ABOVE/away"
	sed -i "s,c-f002.vmdk,$ABOVE/away/&," c.vmdk
	refused "c.vmdk: $ABOVE/away/c-f002.vmdk is not a file in the container's folder" \
		svmdk changed --allow-outside "$ABOVE/away" c.vmdk
	refused "c.vmdk: $ABOVE/away/c-f002.vmdk is not a file in the container's folder" \
		svmdk manifest --changed --allow-outside "$ABOVE/away" c.vmdk
	# In a list that is kept until all has arrived it would be for ever.
	touch "$ABOVE/away/c-f002.vmdk" c-f003.vmdk
	svmdk manifest --changed --allow-outside "$ABOVE/away" c.vmdk >"$BATS_TEST_TMPDIR/list" ||
		equal 1 "$?"
	grep -qx c-f003.vmdk "$BATS_TEST_TMPDIR/list"
	refused '' grep away "$BATS_TEST_TMPDIR/list"
	rm -r "$ABOVE/away"
}
