# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
# shellcheck shell=bash

# The command is the first word that is no option.
_svmdk_command()
{
	local i

	for ((i = 1; i < COMP_CWORD; i++)); do
		if [[ ${COMP_WORDS[i]} != -* ]]; then
			printf '%s' "${COMP_WORDS[i]}"
			return
		fi
	done
}

_svmdk_words()
{
	mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2")
}

_svmdk_devices()
{
	compgen -G '/dev/svmdk[0-9]*' | grep -E '^/dev/svmdk[0-9]+$'
}

# Descriptors and folders; extents (-f001, -flat) only when asked for by name.
_svmdk_files()
{
	local IFS=$'\n' file

	compopt -o filenames 2>/dev/null
	while read -r file; do
		if [[ -d $file ]]; then
			COMPREPLY+=("$file")
		elif [[ ${file,,} == *.vmdk && ! ${file,,} =~ -(f[0-9]{3,}|flat)\.vmdk$ ]]; then
			COMPREPLY+=("$file")
		fi
	done < <(compgen -f -- "$1")
}

_svmdk_columns()
{
	local all='NAME SIZE EXTENTS MAPPED RO DIRTY DESCRIPTOR CONTAINER STATE OPENERS
		LBS RUNS MEM EXTENT START SECTORS WAY REASON'
	local cur=$1 done=

	if [[ $cur == *,* ]]; then
		done=${cur%,*},
	elif [[ $cur == +* ]]; then
		done=+
	fi
	compopt -o nospace 2>/dev/null
	mapfile -t COMPREPLY < <(compgen -P "$done" -W "$all" -- "${cur#"$done"}")
}

# What may stand after an option; fails when that takes no argument.
_svmdk_argument()
{
	case $1 in
	-e | --extent-size)
		[[ $3 == create || $3 == grow || $3 == resplit ]] || return 1
		_svmdk_words '16M 64M 128M 256M 512M 1G 2G' "$2"
		;;
	--preallocate)
		_svmdk_words 'full falloc' "$2"
		;;
	--io)
		_svmdk_words 'auto mapped file' "$2"
		;;
	--allow-outside | --from)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -d -- "$2")
		;;
	-o | --output)
		_svmdk_columns "$2"
		;;
	*)
		return 1
		;;
	esac
}

_svmdk()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local command options

	COMPREPLY=()
	command=$(_svmdk_command)
	# --io=mapped comes as three words.
	if [[ $cur == = ]]; then
		cur=
	elif [[ $prev == = ]]; then
		prev=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	_svmdk_argument "$prev" "$cur" "$command" && return

	case $command in
	create) options='--extent-size --preallocate' ;;
	info) options='--json' ;;
	check | allocate) options='--allow-outside' ;;
	manifest) options='--changed --null --allow-outside' ;;
	verify) options='--json --allow-outside' ;;
	changed) options='--null --allow-outside' ;;
	repair) options='--from --modified --allow-outside' ;;
	attach) options='--read-only --io --allow-outside' ;;
	detach) options='--all --lazy' ;;
	resplit) options='--extent-size --dry-run --low-space --sparse --fill --no-compare --allow-outside' ;;
	grow) options='--extent-size --preallocate --allow-outside' ;;
	copy) options='--no-freeze' ;;
	snapshot) options= ;;
	list) options='--bytes --extents --json --noheadings --output' ;;
	*)
		_svmdk_words 'create info check attach detach list allocate manifest verify changed repair grow resplit copy snapshot --help --version' "$cur"
		return
		;;
	esac
	if [[ $cur == -* ]]; then
		_svmdk_words "$options --help" "$cur"
		return
	fi
	if [[ $command == detach || $command == list || $command == grow || $command == copy || $command == snapshot ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_svmdk_devices)" -- "$cur")
	fi
	_svmdk_files "$cur"
}

complete -F _svmdk svmdk
