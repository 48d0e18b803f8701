#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# Repair takes what is damaged from a copy, if that is what it was, and nothing
# else; and is all or nothing for each file.
#
# One kernel will do.

load common

setup() {
	make_backing ext4
	cd "$BACKING" || return
	make_container c.vmdk 2048 2048 2048 2048
	svmdk manifest c.vmdk
	rsync -a c.vmdk* c-f*.vmdk copy/
	rsync -a copy/ good/
}

teardown() {
	cd /
	clean_up
}

# as_before FILE…: these have content, mtime, owner and mode of the good copy
as_before() {
	local file
	for file; do
		cmp "$file" "good/$file"
		equal "$(stat -c '%y %U %a' "good/$file")" "$(stat -c '%y %U %a' "$file")"
	done
}

no_leftovers() {
	equal "" "$(find . -name '*.tmp' -o -name '.c.vmdk*')"
}

@test "damaged, missing and short extents come back as they were" {
	local before
	before=$(stat -c %i c-f004.vmdk)
	flip_bit c-f001.vmdk 99
	rm c-f002.vmdk
	truncate -s 100 c-f003.vmdk
	svmdk repair c.vmdk --from copy
	as_before c.vmdk c-f00{1,2,3,4}.vmdk
	equal "$before" "$(stat -c %i c-f004.vmdk)"
	equal "5 files: 5 intact, 0 changed, 0 modified, 0 damaged" "$(svmdk verify c.vmdk)"
	equal "c.vmdk.sha256 c.vmdk.svmdk" "$(svmdk changed c.vmdk | xargs)"
	no_leftovers
}

# With a sidecar that is known; without one it is seen by the extents.
@test "a descriptor that has grown since the manifest is not put back" {
	svmdk grow c.vmdk +1M
	rm c.vmdk.svmdk
	cp c.vmdk grown
	svmdk verify c.vmdk | grep -qx 'changed   c.vmdk: it has extents that the manifest does not know'
	svmdk repair c.vmdk --from copy | grep -qx 'left      c.vmdk: it has extents .*'
	cmp c.vmdk grown
	# By the sidecar of before that it is another program's doing.
	cp -p good/c.vmdk.svmdk .
	refused 'c.vmdk is not repaired: it has extents that the manifest does not know, .*copy it by hand' \
		svmdk repair c.vmdk --from copy --modified
	cmp c.vmdk grown
}

# is_not_put_back TEXT: the grown descriptor of the test, lost in each way
is_not_put_back() {
	rm c.vmdk
	fails_with 1 "c.vmdk: .*$1.* by hand if the disk" svmdk repair c.vmdk --from copy
	[ ! -e c.vmdk ]
	fails_with 1 "c.vmdk: .*$1.* by hand if the disk" svmdk repair c.vmdk --from copy --modified
	[ ! -e c.vmdk ]
	head -c 3 /dev/zero >c.vmdk
	fails_with 1 "c.vmdk: .*$1.* by hand if the disk" svmdk repair c.vmdk --from copy --modified
	equal 3 "$(stat -c %s c.vmdk)"
}

# The extents that it grew by would be nobody's, and others would come in their place.
@test "a descriptor that is lost after a grow is not put back as it was before" {
	local known
	svmdk grow c.vmdk +2M
	cp -p c.vmdk c.vmdk.svmdk "$BATS_TEST_TMPDIR"
	is_not_put_back "changed through svmdk since the manifest"
	rm c.vmdk.svmdk
	is_not_put_back "c-f005.vmdk is there"
	# Nor when the sidecar knows less than there is.
	cp -p good/c.vmdk.svmdk .
	is_not_put_back "c-f005.vmdk is there"
	known=$(grep -v ' c.vmdk$' good/c.vmdk.svmdk)
	echo "$known" >c.vmdk.svmdk
	is_not_put_back "the sidecar knows nothing of it"
	# That of after it goes on, and so does the old one by hand.
	cp -p "$BATS_TEST_TMPDIR"/c.vmdk* .
	flip_bit c-f001.vmdk 99
	svmdk repair c.vmdk --from copy
	as_before c-f001.vmdk
	cmp c.vmdk "$BATS_TEST_TMPDIR/c.vmdk"
	cp -p copy/c.vmdk .
	flip_bit c-f001.vmdk 99
	svmdk repair c.vmdk --from copy
	as_before c.vmdk c-f001.vmdk
	svmdk verify c.vmdk
	svmdk manifest c.vmdk
	svmdk verify c.vmdk
}

@test "a descriptor whose last extent is longer by now is not put back" {
	rm -r c.vmdk.* copy good
	svmdk create d.vmdk 3584K -e 1M
	svmdk manifest d.vmdk
	mkdir copy
	cp -a d* copy/
	svmdk grow d.vmdk 4M
	cp d.vmdk grown
	rm d.vmdk.svmdk
	# It is there, so the others are repaired by it; the copy may have half of what came.
	flip_bit d-f001.vmdk 99
	refused "d.vmdk is not repaired: it names longer extents than the copy's, and they are there" \
		svmdk repair d.vmdk --from copy
	cmp d.vmdk grown
	cmp d-f001.vmdk copy/d-f001.vmdk
	cp -p d-f004.vmdk copy/
	refused "d.vmdk is not repaired: it names longer extents than the copy's, and they are there" \
		svmdk repair d.vmdk --from copy --modified
	cmp d.vmdk grown
	truncate -s 512K copy/d-f004.vmdk
	# What cannot be is damage.
	sed 's/^RW 2048 FLAT "d-f003/RW 9048 FLAT "d-f003/' copy/d.vmdk >d.vmdk
	cp -p d-f004.vmdk whole
	truncate -s 512K d-f004.vmdk
	svmdk repair d.vmdk --from copy
	cmp d.vmdk copy/d.vmdk
	cp -p whole d-f004.vmdk
	cp grown d.vmdk
	rm d.vmdk
	fails_with 1 "d.vmdk: not put back: d-f004.vmdk is longer than the copy's" \
		svmdk repair d.vmdk --from copy
	[ ! -e d.vmdk ]
	# It always was that long: then it says nothing.
	truncate -s 1M copy/d-f004.vmdk
	svmdk repair d.vmdk --from copy || [ $? = 1 ]
	cmp d.vmdk copy/d.vmdk
}

# Else it would be as it was before that, and what is in use by now nobody's.
@test "a descriptor that is lost after a resplit is not put back as it was before" {
	svmdk resplit c.vmdk -e 512K
	cp -p copy/c.vmdk.sha256 .
	is_not_put_back "c-2-f001.vmdk is there"
	cp -p copy/c.vmdk.svmdk .
	is_not_put_back "c-2-f001.vmdk is there"
	# Of another container it says nothing.
	rm c-2-f* c.vmdk
	svmdk create c-2.vmdk 1M -e 512K
	svmdk repair c.vmdk --from copy
	as_before c.vmdk c-f00{1,2,3,4}.vmdk
}

# It may be the only one that is left of the newer shape.
@test "a copy of the newer descriptor beside it is none of another container, whatever its name" {
	local name
	svmdk resplit c.vmdk -e 512K
	cp -p c.vmdk newer
	rm c.vmdk
	cp -p copy/c.vmdk.sha256 .
	for name in backup-of-c.vmdk a c c-2.vmdk.bak; do
		mv newer $name
		fails_with 1 "c-2-f001.vmdk is there and named by $name, so the disk may have" \
			svmdk repair c.vmdk --from copy
		mv $name newer
	done
	[ ! -e c.vmdk ]
	equal "" "$(find . -maxdepth 1 -name 'c-f*')"
	# That is what helps.
	cp -p newer c.vmdk
	rm c.vmdk.sha256
	svmdk manifest c.vmdk
	svmdk verify c.vmdk
}

@test "another container whose name begins alike is no copy of this one" {
	local copies=$BATS_TEST_TMPDIR
	svmdk create disk 4M -e 1M
	svmdk manifest disk
	cp -p disk disk-f* "$copies"
	svmdk create disk-2.vmdk 2M -e 1M
	cp disk-2.vmdk a-copy-of-that
	rm disk
	svmdk repair disk --from "$copies"
	cmp disk "$copies/disk"
	svmdk verify disk
}

# Neither has what was written behind the end of the copy another place.
@test "an extent that became longer is not replaced by its copy of before that" {
	rm -r c.vmdk.* copy good
	svmdk create d.vmdk 3584K -e 1M
	svmdk manifest d.vmdk
	mkdir copy
	cp -a d* copy/
	svmdk grow d.vmdk 6M
	rm d.vmdk.svmdk
	random_bytes 4096 | dd of=d-f004.vmdk bs=4096 seek=200 conv=notrunc status=none
	cp d-f004.vmdk written
	flip_bit d-f001.vmdk 99
	refused 'd-f004.vmdk is not repaired: its copy in .* has 524288 bytes, .* 1048576: .*before the disk grew' \
		svmdk repair d.vmdk --from copy
	cmp d-f004.vmdk written
	cmp d-f001.vmdk copy/d-f001.vmdk
	rm d-f004.vmdk
	refused 'd-f004.vmdk is not repaired: .*before the disk grew' svmdk repair d.vmdk --from copy
	[ ! -e d-f004.vmdk ]
	cp -p written d-f004.vmdk
	svmdk check d.vmdk
}

@test "a descriptor that was lost in a session that did not end is not put back" {
	sed -i "3s/.*/session attached $(cat /proc/sys/kernel/random/boot_id)/" c.vmdk.svmdk
	rm c.vmdk
	fails_with 1 "c.vmdk: missing, and not put back: .*a session that did not end" \
		svmdk repair c.vmdk --from copy
	[ ! -e c.vmdk ]
	cp -p copy/c.vmdk .
	svmdk repair c.vmdk --from copy
	svmdk verify c.vmdk
}

# It could say that they were written.
@test "with a sidecar that cannot be read nothing is put back" {
	local device
	device=$(svmdk attach c.vmdk)
	write_disk "$device" 8192 4096
	svmdk detach "$device"
	rsync -a c.vmdk* c-f*.vmdk written/
	sed -i 's/^session.*/session of bytes/' c.vmdk.svmdk
	refused 'c.vmdk.svmdk.*: .*take it away if the hashes alone' svmdk repair c.vmdk --from copy
	cmp written/c-f001.vmdk c-f001.vmdk
	cmp written/c-f002.vmdk c-f002.vmdk
	mv c.vmdk lost
	refused 'c.vmdk.svmdk.*: .*take it away if the hashes alone' svmdk repair c.vmdk --from copy
	[ ! -e c.vmdk ]
	# Neither is it attached, but to be read.
	mv lost c.vmdk
	refused 'c.vmdk.svmdk.*: .*take it away, and svmdk manifest' svmdk attach c.vmdk
	device=$(svmdk attach -r c.vmdk)
	svmdk detach "$device"
	svmdk manifest c.vmdk
	device=$(svmdk attach c.vmdk)
	svmdk detach "$device"
}

@test "a copy that is damaged itself, or older, is refused" {
	flip_bit c-f001.vmdk 99
	flip_bit c-f002.vmdk 99
	cp -p c-f001.vmdk before
	flip_bit copy/c-f001.vmdk 1000
	refused "c-f001.vmdk is not repaired: .*older, newer, or damaged" \
		svmdk repair c.vmdk --from copy
	cmp before c-f001.vmdk
	as_before c-f002.vmdk
	rm copy/c-f001.vmdk
	refused "there is no copy of it" svmdk repair c.vmdk --from copy
	cmp before c-f001.vmdk
	no_leftovers
}

@test "what was modified is put back on demand, what was changed never" {
	local device
	device=$(svmdk attach c.vmdk)
	write_disk "$device" 0 4096
	svmdk detach "$device"
	random_bytes 10 | dd of=c-f002.vmdk conv=notrunc status=none
	cp c-f001.vmdk changed
	cp c-f002.vmdk modified
	flip_bit c-f003.vmdk 99
	refused '^svmdk: c.vmdk: what another program wrote is left as it is \(1 of 5 files\); .*--modified' \
		svmdk repair c.vmdk --from copy
	as_before c-f003.vmdk
	cmp c-f001.vmdk changed
	cmp c-f002.vmdk modified
	svmdk repair c.vmdk --from copy --modified
	as_before c-f002.vmdk
	cmp c-f001.vmdk changed
	rm c-f001.vmdk
	refused "changed through svmdk since the manifest" svmdk repair c.vmdk --from copy --modified
	[ ! -e c-f001.vmdk ]
}

# A script goes on when it ends well, and sends what there is.
@test "it ends well when verify does, with what it left" {
	local before status=0
	random_bytes 10 | dd of=c-f002.vmdk conv=notrunc status=none
	cp c-f002.vmdk modified
	refused 'another program wrote it' svmdk verify c.vmdk
	svmdk repair c.vmdk --from copy >out 2>err || status=$?
	equal 1 "$status"
	equal "left      c-f002.vmdk: another program wrote it: its size or mtime is not as recorded" "$(cat out)"
	equal 1 "$(wc -l <err)"
	cmp c-f002.vmdk modified
	svmdk manifest c.vmdk
	svmdk verify c.vmdk
	svmdk repair c.vmdk --from copy
	# What was written through svmdk is as it should be.
	svmdk grow c.vmdk +1M
	svmdk verify c.vmdk | grep -q '^changed   c.vmdk: '
	before=$(md5sum c.vmdk)
	svmdk repair c.vmdk --from copy | grep -q '^left      c.vmdk: '
	equal "$before" "$(md5sum c.vmdk)"
	# A manifest of another time is none to go by.
	cp copy/c.vmdk.sha256 .
	refused "is older than the sidecar" svmdk verify c.vmdk
	refused "^svmdk: c.vmdk.sha256: it is older than the sidecar, or was altered" \
		svmdk repair c.vmdk --from copy
}

@test "a descriptor that is damaged or missing comes back, whatever is left of it" {
	flip_bit c.vmdk 3
	flip_bit c-f001.vmdk 99
	svmdk repair c.vmdk --from copy
	as_before c.vmdk c-f001.vmdk
	: >c.vmdk
	touch -d "$(stat -c %y good/c.vmdk)" c.vmdk
	refused "is damaged, svmdk repair" svmdk verify c.vmdk
	# It is shorter than it was, so somebody wrote to it.
	refused "" svmdk repair c.vmdk --from copy
	svmdk repair c.vmdk --from copy --modified
	as_before c.vmdk
	rm c.vmdk
	svmdk repair c.vmdk --from copy
	as_before c.vmdk
	svmdk verify c.vmdk
	equal "c.vmdk.sha256 c.vmdk.svmdk" "$(svmdk changed c.vmdk | xargs)"
	no_leftovers
}

# One bit makes it name what is another container's, and that is no growth.
@test "a descriptor that is damaged into one of other extents comes back" {
	local mtime
	make_container b.vmdk 2048 2048
	mtime=$(stat -c %y c.vmdk)
	sed -i s/c-f001/b-f001/ c.vmdk
	cp c.vmdk other
	touch -d "$mtime" c.vmdk
	svmdk repair c.vmdk --from copy >said
	equal "repaired  c.vmdk: damaged" "$(cat said)"
	as_before c.vmdk c-f001.vmdk
	# By another program it was made so, or nobody knows.
	cp other c.vmdk
	refused 'c.vmdk.sha256:.*c-f001.vmdk is no extent of the container' svmdk repair c.vmdk --from copy
	cmp c.vmdk other
	touch -d "$mtime" c.vmdk
	rm c.vmdk.svmdk
	refused 'c.vmdk.sha256:.*c-f001.vmdk is no extent of the container' svmdk repair c.vmdk --from copy
	cmp c.vmdk other
}

@test "a descriptor that comes back has the owner and the mode that it had" {
	chmod 640 c.vmdk
	chown 1:1 c.vmdk
	rm c.vmdk.sha256
	svmdk manifest c.vmdk
	cp -a c.vmdk copy/
	cp -a c.vmdk good/
	chmod 600 copy/c.vmdk
	chown 2:2 copy/c.vmdk
	rm c.vmdk
	svmdk repair c.vmdk --from copy
	as_before c.vmdk
	equal 1:1 "$(stat -c %u:%g c.vmdk)"
}

@test "whoever may not give a file its owner is told so before all of it is copied" {
	local trace=$BATS_TEST_TMPDIR/trace
	flip_bit c-f001.vmdk 99
	cp c-f001.vmdk damaged
	chown -R 65534:65534 .
	chmod 777 .
	chown 1:1 c-f001.vmdk
	refused 'c-f001.vmdk is not repaired: it belongs to user 1 and group 1, .*as that user or as root' \
		strace -qq -f -o "$trace" -e trace=pwrite64 \
		setpriv --reuid=65534 --regid=65534 --clear-groups svmdk repair c.vmdk --from copy
	equal "" "$(cat "$trace")"
	cmp c-f001.vmdk damaged
	no_leftovers
	svmdk repair c.vmdk --from copy
	cmp c-f001.vmdk good/c-f001.vmdk
	equal 1:1 "$(stat -c %u:%g c-f001.vmdk)"
}

@test "of a link that leads nowhere it says what is missing" {
	mkdir links
	ln -s ../c.vmdk links/link.vmdk
	svmdk repair links/link.vmdk --from copy
	rm c.vmdk
	fails_with 1 'links/link.vmdk: it is a symbolic link to ../c.vmdk, which does not exist; repair that by its own name' \
		svmdk repair links/link.vmdk --from copy
	[ -L links/link.vmdk ]
	svmdk repair c.vmdk --from copy
	as_before c.vmdk
}

# A bad block is damage, of a descriptor as of an extent; whatever is that long is none.
@test "a descriptor that cannot be read, or is far too long, comes back too" {
	strace -qq -o /dev/null -P "$PWD/c.vmdk" -e trace=read -e inject=read:error=EIO:when=1 \
		svmdk repair c.vmdk --from copy >said
	equal "repaired  c.vmdk: cannot be read" "$(cat said)"
	as_before c.vmdk
	truncate -s 70M c.vmdk
	refused "modified by another program; --modified undoes that" svmdk repair c.vmdk --from copy
	svmdk repair c.vmdk --from copy --modified
	as_before c.vmdk
	truncate -s 70M c.vmdk
	rm c.vmdk.svmdk
	svmdk repair c.vmdk --from copy
	cmp c.vmdk good/c.vmdk
	svmdk verify c.vmdk
	no_leftovers
}

@test "what is attached is not repaired, and neither is a container without a manifest" {
	local device
	flip_bit c-f001.vmdk 99
	device=$(svmdk attach --read-only c.vmdk)
	fails_with 1 "attached as $device; detach it first" svmdk repair c.vmdk --from copy
	svmdk detach "$device"
	mv c.vmdk.sha256 away
	fails_with 1 "it has no manifest" svmdk repair c.vmdk --from copy
	mv away c.vmdk.sha256
	fails_with 1 "nowhere: cannot open the folder" svmdk repair c.vmdk --from nowhere
	fails_with 2 "" svmdk repair c.vmdk || true
	svmdk repair c.vmdk --from copy
}

@test "a link in the copy is not followed, and one in the place of an extent is replaced" {
	flip_bit c-f001.vmdk 99
	mv copy/c-f001.vmdk elsewhere
	ln -s ../elsewhere copy/c-f001.vmdk
	refused "symbolic link" svmdk repair c.vmdk --from copy
	rm copy/c-f001.vmdk
	mv elsewhere copy/c-f001.vmdk
	mv c-f002.vmdk elsewhere
	cp elsewhere before
	ln -s elsewhere c-f002.vmdk
	svmdk repair c.vmdk --from copy
	as_before c-f001.vmdk c-f002.vmdk
	cmp before elsewhere
}

# What it does to a file, in its order; strace counts each kind of call by itself.
moments=("fallocate 1" "pwrite64 2" "fsync 1" "renameat 1" "utimensat 3" "fsync 4" "renameat2 1"
	"renameat 2" "renameat 3")

@test "killed at any moment it leaves each file as it was or whole, and goes on the next time" {
	local moment killed=0
	for moment in "${moments[@]}"; do
		echo "killed at $moment"
		flip_bit c-f001.vmdk 99
		rm -f c-f002.vmdk
		flip_bit c-f003.vmdk 99
		cp c-f003.vmdk damaged
		strace -qq -o /dev/null -e trace="${moment% *}" \
			-e inject="${moment% *}:signal=KILL:when=${moment#* }" \
			svmdk repair c.vmdk --from copy >/dev/null 2>&1 || killed=$((killed + 1))
		cmp c-f003.vmdk damaged || cmp c-f003.vmdk good/c-f003.vmdk
		[ ! -e c-f002.vmdk ] || cmp c-f002.vmdk good/c-f002.vmdk
		svmdk repair c.vmdk --from copy
		as_before c.vmdk c-f00{1,2,3,4}.vmdk
		no_leftovers
		svmdk verify c.vmdk
	done
	equal ${#moments[@]} "$killed"
}

the_other_is_refused() {
	refused "c-f002.vmdk is not repaired: another svmdk repair is at work on it" \
		svmdk repair e.vmdk --from copy
	[ ! -e c-f002.vmdk ]
}

# Two descriptors may have an extent in common, and then two repairs have it.
@test "of two repairs of one file the other is refused, and undoes nothing" {
	cp c.vmdk e.vmdk
	svmdk manifest e.vmdk
	rm c-f002.vmdk
	held "fsync 1" the_other_is_refused svmdk repair c.vmdk --from copy
	equal 0 "$status"
	grep -q '^repaired  c-f002.vmdk: missing' "$BATS_TEST_TMPDIR/said"
	as_before c-f002.vmdk
	svmdk verify c.vmdk
	svmdk verify e.vmdk
	no_leftovers
}

@test "a file that came while its copy was read is not replaced" {
	rm c-f002.vmdk
	held "fsync 1" 'random_bytes 1048576 >c-f002.vmdk; cp c-f002.vmdk new' \
		svmdk repair c.vmdk --from copy
	equal 1 "$status"
	grep -q 'c-f002.vmdk is not repaired: another program put a file in its place' \
		"$BATS_TEST_TMPDIR/said"
	cmp c-f002.vmdk new
	no_leftovers
}

# attached_elsewhere COMMAND…: svmdk repair of a.vmdk is refused, and the file stays
attached_elsewhere() {
	local before
	before=$(stat -c %i f.img)
	refused "f.img is not repaired: extent f.img is in use .*attached by way of another descriptor" \
		"$@" repair a.vmdk --from copy
	equal "$before" "$(stat -c %i f.img)"
	equal 1 "$(stat -c %h f.img)"
}

@test "a file that a disk of another descriptor has a part of is not replaced under it" {
	local device io
	random_bytes 4194304 >f.img
	write_descriptor a.vmdk 'RW 4096 FLAT "f.img" 4096'
	write_descriptor b.vmdk 'RW 4096 FLAT "f.img" 0'
	svmdk manifest a.vmdk
	cp -p a.vmdk f.img copy/
	for io in auto file; do
		flip_bit f.img 3000000
		device=$(svmdk attach --io "$io" b.vmdk)
		attached_elsewhere svmdk
		svmdk detach "$device"
		svmdk repair a.vmdk --from copy
		cmp f.img copy/f.img
		# Too short for one, and not for the other.
		truncate -s 3M f.img
		device=$(svmdk attach --io "$io" b.vmdk)
		attached_elsewhere svmdk
		svmdk detach "$device"
		svmdk repair a.vmdk --from copy
		cmp f.img copy/f.img
	done
	# Whoever cannot write to it cannot lock it for that.
	chown -R 65534:65534 .
	chmod 444 f.img
	flip_bit f.img 3000000
	device=$(svmdk attach b.vmdk)
	attached_elsewhere setpriv --reuid=65534 --regid=65534 --clear-groups svmdk
	svmdk detach "$device"
	setpriv --reuid=65534 --regid=65534 --clear-groups svmdk repair a.vmdk --from copy
	cmp f.img copy/f.img
}

@test "a file that was written after it was read is not replaced" {
	flip_bit c-f001.vmdk 99
	flip_bit c-f003.vmdk 99
	held "fsync 1" \
		'random_bytes 10 | dd of=c-f003.vmdk conv=notrunc status=none; cp c-f003.vmdk written' \
		svmdk repair c.vmdk --from copy
	equal 1 "$status"
	grep -q 'c-f003.vmdk is not repaired: it was written after it was read; try again' \
		"$BATS_TEST_TMPDIR/said"
	as_before c-f001.vmdk
	cmp c-f003.vmdk written
	no_leftovers
}

@test "what cannot be copied says which of the two it is, and what helps" {
	local dir=$PWD
	mkdir -p away in/sub
	random_bytes 1048576 >away/out.img
	random_bytes 1048576 >in/sub/in.img
	write_descriptor in/d.vmdk 'RW 2048 FLAT "../away/out.img" 0' 'RW 2048 FLAT "sub/in.img" 0'
	svmdk manifest in/d.vmdk --allow-outside away
	cp -a in away copy/
	# Its folder is allowed, but no copy is looked for there.
	flip_bit away/out.img 99
	refused "../away/out.img is not repaired: its name leads out of $dir/copy/in, .*; copy it by hand" \
		svmdk repair in/d.vmdk --from copy/in --allow-outside away
	cp copy/away/out.img away
	rm -r in/sub
	refused "sub/in.img is not repaired: its folder $dir/in/sub does not exist; make it" \
		svmdk repair in/d.vmdk --from copy/in --allow-outside away
	mkdir in/sub
	svmdk repair in/d.vmdk --from copy/in --allow-outside away
	svmdk verify in/d.vmdk --allow-outside away
	flip_bit c-f001.vmdk 99
	refused "c-f001.vmdk is not repaired: cannot read its copy in $dir/copy at byte 0: Input/output error" \
		strace -qq -o /dev/null -P "$dir/copy/c-f001.vmdk" -e trace=pread64 \
		-e inject=pread64:error=EIO svmdk repair c.vmdk --from copy
	svmdk repair c.vmdk --from copy
	as_before c-f001.vmdk
	no_leftovers
}

# docs/checking.md has it; here the parity is of a fifth, for there are five blocks.
@test "without a copy par2 puts an extent back, and verify says so" {
	par2 create -q -q -r20 -s1048576 c.par2 c.vmdk c-f*.vmdk
	par2 verify -q -q c.par2
	flip_bit c-f003.vmdk 777777
	cp c-f003.vmdk damaged
	run svmdk verify c.vmdk
	equal 1 "$status"
	grep -qx "damaged   c-f003.vmdk: other bytes than .*" <<<"$output"
	refused "Repair is required" par2 verify -q c.par2
	par2 repair -q -q c.par2
	cmp c-f003.vmdk good/c-f003.vmdk
	cmp c-f003.vmdk.1 damaged
	equal "5 files: 5 intact, 0 changed, 0 modified, 0 damaged" "$(svmdk verify c.vmdk)"
	# It is another file now, so rsync looks at it, and a manifest settles that.
	grep -qx c-f003.vmdk <(svmdk changed c.vmdk)
	svmdk manifest c.vmdk
	equal "c.vmdk.sha256 c.vmdk.svmdk" "$(svmdk changed c.vmdk | xargs)"
	par2 verify -q -q c.par2
}

@test "on a file system that is read-only it says how to go on" {
	flip_bit c-f001.vmdk 99
	mount -o remount,ro "$BACKING"
	refused 'c-f001.vmdk is not repaired: it is on a read-only file system; mount that for writing' \
		svmdk repair c.vmdk --from copy
	mount -o remount,rw "$BACKING"
	svmdk repair c.vmdk --from copy
	as_before c-f001.vmdk
}

@test "a disk that is full is one clear line, and nothing is lost" {
	cd /
	clean_up
	make_backing tmpfs
	mount -o remount,size=40M "$BACKING"
	cd "$BACKING"
	make_container c.vmdk 16384 16384
	svmdk manifest c.vmdk
	mkdir /tmp/copy
	cp -a c.vmdk c-f* /tmp/copy
	flip_bit c-f001.vmdk 99
	head -c 22M /dev/zero >filler
	run svmdk repair c.vmdk --from /tmp/copy
	[ "$status" = 1 ]
	[[ $output == *"c-f001.vmdk is not repaired: "*"No space left on device"* ]]
	no_leftovers
	rm filler
	svmdk repair c.vmdk --from /tmp/copy
	svmdk verify c.vmdk
	rm -r /tmp/copy
}

# What it has opened is not the container's any more when it has the lock.
@test "verify and repair that are overtaken by a grow judge and undo nothing" {
	local command words
	for command in "verify c.vmdk" "repair c.vmdk --from copy"; do
		read -ra words <<<"$command"
		held "-P $PWD/c.vmdk newfstatat,fstat 1" 'svmdk grow c.vmdk +1M; cp c.vmdk grown' \
			svmdk "${words[@]}"
		equal 1 "$status"
		grep 'c.vmdk: the descriptor was changed meanwhile; try again' "$BATS_TEST_TMPDIR/said"
		cmp c.vmdk grown
		svmdk check c.vmdk
	done
}

# Else nothing is cleared up while one is missing.
@test "a missing extent comes back though a killed command left something" {
	killed_at "renameat 1" svmdk grow c.vmdk +2M
	[ -e .c.vmdk.svmdk-files ]
	rm c-f002.vmdk
	svmdk repair c.vmdk --from copy
	as_before c-f002.vmdk
	no_leftovers
	equal 4 "$(find . -maxdepth 1 -name 'c-f*' | wc -l)"
	equal "5 files: 5 intact, 0 changed, 0 modified, 0 damaged" "$(svmdk verify c.vmdk)"
}

# kill_resplit: before there is a new descriptor, so that all of the old extents are needed
kill_resplit() {
	killed_at "renameat 1" svmdk resplit c.vmdk -e 512K
	[ -e .c.vmdk.svmdk-files ] && [ -e c-2-f001.vmdk ]
}

@test "what is lost after a resplit was killed comes back, for the old descriptor is in force" {
	local mtime
	kill_resplit
	rm c-f002.vmdk
	svmdk repair c.vmdk --from copy
	as_before c-f002.vmdk
	no_leftovers
	[ ! -e c-2-f001.vmdk ]
	# The descriptor, too, and by a damaged one nothing is removed.
	make_container b.vmdk 2048 2048
	kill_resplit
	mtime=$(stat -c %y c.vmdk)
	sed -i s/c-f001/b-f001/ c.vmdk
	touch -d "$mtime" c.vmdk
	svmdk grow c.vmdk 1M || true
	[ -e c-f001.vmdk ]
	svmdk repair c.vmdk --from copy
	as_before c.vmdk c-f001.vmdk c-f002.vmdk
}

# Of the container and the list.
files_and_sums() {
	find . -maxdepth 1 -type f \( -name 'c*' -o -name '.c*' \) -exec md5sum {} + | sort
}

# Those that were made are the only copy of what was in the others.
@test "what a resplit that was killed made is not removed for what a copy has" {
	local before
	random_bytes 10 | dd of=c-f001.vmdk conv=notrunc status=none
	svmdk manifest c.vmdk
	killed_at "renameat 5" svmdk resplit c.vmdk -e 512K --low-space
	[ ! -e c-f001.vmdk ]
	[ -e c-2-f001.vmdk ]
	rm c.vmdk
	cp -p copy/c.vmdk.sha256 .
	before=$(files_and_sums)
	fails_with 1 'c.vmdk: not put back: c-2-f001.vmdk is there, which an interrupted command made' \
		svmdk repair c.vmdk --from copy
	equal "$before" "$(files_and_sums)"
	cp -p copy/c.vmdk.svmdk .
	before=$(files_and_sums)
	fails_with 1 'c.vmdk: not put back: c-2-f001.vmdk is there' svmdk repair c.vmdk --from copy
	equal "$before" "$(files_and_sums)"
	# Not by a descriptor that somebody put back, either.
	cp -p copy/c.vmdk .
	before=$(files_and_sums)
	fails_with 1 'extent c-f00[12].vmdk is missing, which an interrupted command used up' \
		svmdk repair c.vmdk --from copy
	equal "$before" "$(files_and_sums)"
}

# Between the descriptor and the rest of it nobody has a lock.
@test "a grow right behind the healing of the descriptor is neither forgotten nor undone" {
	rm c.vmdk
	# The fourth is that of its lock.
	held "-P $PWD/c.vmdk.svmdk close 4" \
		'as_before c.vmdk; svmdk grow c.vmdk +1M; cp c.vmdk grown' \
		svmdk repair c.vmdk --from copy
	equal 0 "$status"
	cmp c.vmdk grown
	svmdk verify c.vmdk >said
	grep -qx 'changed   c.vmdk: written through svmdk since the manifest' said
	svmdk repair c.vmdk --from copy
	cmp c.vmdk grown
	svmdk check c.vmdk
}

# svmdk manifest would take in what another program wrote.
@test "what helps an extent that has no line depends on what the sidecar knows" {
	sed -i 2d c.vmdk.sha256
	random_bytes 10 | dd of=c-f002.vmdk conv=notrunc status=none
	refused 'c-f002.vmdk is not repaired: the manifest says nothing of it; put the right manifest' \
		svmdk repair c.vmdk --from copy --modified
	rm c-f002.vmdk
	refused 'c-f002.vmdk is not repaired: the manifest says nothing of it; run svmdk manifest' \
		svmdk repair c.vmdk --from copy
	rm c.vmdk.svmdk
	refused 'c-f002.vmdk is not repaired: the manifest says nothing of it; put the right manifest' \
		svmdk repair c.vmdk --from copy
}
