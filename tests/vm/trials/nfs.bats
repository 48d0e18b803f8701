#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# Extents on a server: I/O to them waits while it is away, or fails where that was
# asked for at the mount; the other extents go on, and all is there when it returns.
# NFS over the loopback interface, version 4 alone, of what is at /mnt/exported.

load ../common
load trials

teardown() {
	[ -z "${worker-}" ] || kill -KILL "$worker" 2>/dev/null || true
	if mountpoint -q /proc/fs/nfsd; then
		start_server
	fi
	# shellcheck disable=SC2154 # trials.bash counts
	echo "# $all_failed I/Os failed" >&3
	clean_up
	end_server
}

# make_server OPTION,…: of the mount at $BAD
make_server() {
	mkdir -p /mnt/exported "$BAD" /var/lib/nfs/v4recovery
	mkfs.ext4 -q -F -E lazy_itable_init=0,nodiscard -J size=4 /job/disks/spare 256M
	mount /job/disks/spare /mnt/exported
	modprobe nfsd
	mountpoint -q /proc/fs/nfsd || mount -t nfsd nfsd /proc/fs/nfsd
	# A server that does not know who its clients were lets none of them go on after it
	# was away; newer kernels leave that to a daemon.
	mkdir -p /run/rpc_pipefs /var/lib/nfs/nfsdcld
	mountpoint -q /run/rpc_pipefs || mount -t rpc_pipefs rpc_pipefs /run/rpc_pipefs
	nfsdcld -p /run/rpc_pipefs -s /var/lib/nfs/nfsdcld </dev/null >/dev/null 2>&1 3>&- 4>&- 5>&-
	echo 10 >/proc/fs/nfsd/nfsv4leasetime
	echo 10 >/proc/fs/nfsd/nfsv4gracetime
	exportfs -o rw,sync,no_root_squash,no_subtree_check,fsid=0 127.0.0.1:/mnt/exported
	rpc.mountd --no-nfs-version 3 </dev/null >/dev/null 2>&1 3>&- 4>&- 5>&-
	start_server
	mount -t nfs4 -o "vers=4.2,proto=tcp,$1" 127.0.0.1:/ "$BAD"
}

start_server() {
	[ "$(cat /proc/fs/nfsd/threads)" != 0 ] || rpc.nfsd -N 3 4
}

stop_server() {
	rpc.nfsd 0
}

end_server() {
	! mountpoint -q /proc/fs/nfsd || stop_server
	pkill -x rpc.mountd || true
	pkill -x nfsdcld || true
	exportfs -ua
	! mountpoint -q /proc/fs/nfsd || umount /proc/fs/nfsd
	! mountpoint -q /mnt/exported || umount /mnt/exported
}

@test "extents on NFS wait for their server, and all is there when it returns" {
	make_good
	make_server hard,timeo=20
	make_parts file
	begin_work "$WORK_HALF"
	for _ in 1 2; do
		others_work
		stop_server
		others_work
		is_working
		start_server
		# The server does not listen to old clients before its grace is over.
		PATIENCE=3 succeeds write "$PART 8"
	done
	end_work
	succeeds check
	succeeds flush
	goes_away
	comes_back file check
	cmp "$BAD/c-f002.vmdk" /mnt/exported/c-f002.vmdk
}

@test "extents on NFS that is not to be waited for fail, alone" {
	make_good
	make_server soft,timeo=10,retrans=1
	make_parts file
	stop_server
	others_work
	fails check "$PART 2"
	fails write "$PART 2"
	others_work
	# What was opened for writing is looked at by udev, which waits for the server, too.
	PATIENCE=3 eventually udevadm settle
	goes_away
	start_server
	PATIENCE=3 eventually cat "$BAD/c-f002.vmdk" >/dev/null
	comes_back file after-cut
}

@test "a container on NFS, descriptor and all, is attached, used and detached" {
	make_good
	make_server hard,timeo=20
	svmdk create "$BAD/n.vmdk" 3M -e 1M
	dev=$(svmdk attach "$BAD/n.vmdk")
	equal "file file file" "$(ways_of "$dev")"
	ledger=$BATS_TEST_TMPDIR/ledger
	/job/programs/ledger "$ledger" new 768
	succeeds write
	begin_work "0 768"
	stop_server
	start_server
	end_work
	PATIENCE=3 succeeds check
	succeeds flush
	goes_away
	cmp <(read_extents "$BAD/n.vmdk") <(read_extents /mnt/exported/n.vmdk)
	dev=$(svmdk attach "$BAD/n.vmdk")
	succeeds check
	goes_away
}

# A lock for writing cannot be had there.
@test "a container on NFS that is mounted read-only is attached read-only, and copied" {
	make_good
	make_server hard,timeo=20
	svmdk create "$BAD/n.vmdk" 3M -e 1M
	random_bytes 3M | split -b 1M --numeric-suffixes=1 -a 3 --additional-suffix=.vmdk - "$BAD/n-f"
	sync -f "$BAD"
	mount -o remount,ro "$BAD"
	mkdir "$BACKING/to"
	svmdk copy "$BAD/n.vmdk" "$BACKING/to"
	cmp <(read_extents "$BAD/n.vmdk") <(read_extents "$BACKING/to/n.vmdk")
	dev=$(svmdk attach -r "$BAD/n.vmdk")
	cmp <(read_disk "$dev") <(read_extents "$BAD/n.vmdk")
	goes_away
}
