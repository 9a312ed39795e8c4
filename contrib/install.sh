#!/bin/sh
# The installer for a machine without a package of ours:
#
#   curl -fsSL https://openclaw.rs/install.sh | sh
#
# As root it installs below /usr/local for everybody, as anybody else below ~/.local; nothing asks for
# root. Run again, it upgrades. It is a POSIX script, so `| bash` does too.
#
#   OPENCLAW_INSTALL_TAG=v0.1.0   this version; otherwise the latest
#   OPENCLAW_BETA=1               the latest of the versions that are tried
#   OPENCLAW_NO_ONBOARD=1         do not begin to set it up            (--no-onboard)
#   OPENCLAW_NO_PROMPT=1          ask nothing, which is that too       (--no-prompt)
#   OPENCLAW_DRY_RUN=1            say what would be done               (--dry-run)
#   OPENCLAW_PREFIX=FOLDER        install there, for you alone         (--prefix FOLDER)
#   OPENCLAW_INSTALL_URL=URL      where the releases are, also file:///FOLDER
set -eu

say() { printf '%s\n' "$*"; }
fail() {
	printf 'install.sh: %s\n' "$1" >&2
	if [ $# -gt 1 ]; then printf '  fix: %s\n' "$2" >&2; fi
	exit 1
}

# Which of the releases' files runs here: ARCH-linux-LIBC.
target() {
	[ "$(uname -s)" = Linux ] ||
		fail "there are programs for Linux only" "build them: contrib/install in a clone says how"
	case $(uname -m) in
	x86_64 | amd64) arch=x86_64 ;;
	aarch64 | arm64) arch=aarch64 ;;
	armv7l | armv8l) arch=armv7 ;;
	*) fail "there are no programs for $(uname -m)" "build them: contrib/install in a clone" ;;
	esac
	# The programs for GNU's library need its 2.36; the others bring what they need.
	libc=musl
	if version=$(getconf GNU_LIBC_VERSION 2>/dev/null); then
		version=${version#glibc }
		if [ "${version%%.*}" -gt 2 ] || [ "$(echo "${version#*.}" | cut -d. -f1)" -ge 36 ]; then
			libc=gnu
		fi
	fi
	echo "$arch-linux-$libc"
}

# fetch URL FILE
fetch() {
	if command -v curl >/dev/null; then
		curl -fsSL --retry 2 --proto '=https,file,http' -o "$2" "$1"
	elif command -v wget >/dev/null; then
		wget -qO "$2" "$1"
	else
		fail "neither curl nor wget is here" "install one of them"
	fi
}

main() {
	onboard=yes
	dry=no
	prefix=${OPENCLAW_PREFIX:-}
	[ "${OPENCLAW_NO_ONBOARD:-0}" = 1 ] && onboard=no
	[ "${OPENCLAW_NO_PROMPT:-0}" = 1 ] && onboard=no
	[ "${OPENCLAW_DRY_RUN:-0}" = 1 ] && dry=yes
	while [ $# -gt 0 ]; do
		case $1 in
		--no-onboard | --no-prompt) onboard=no ;;
		--dry-run) dry=yes ;;
		--prefix)
			[ $# -gt 1 ] || fail "--prefix: a folder is missing"
			prefix=$2
			shift
			;;
		*) fail "$1: not a word of mine" "the first lines of this script say which there are" ;;
		esac
		shift
	done

	everybody=no
	if [ -z "$prefix" ]; then
		if [ "$(id -u)" = 0 ]; then
			everybody=yes
			prefix=/usr/local
		else
			prefix=${HOME:?}/.local
		fi
	fi
	tag=${OPENCLAW_INSTALL_TAG:-latest}
	[ "${OPENCLAW_BETA:-0}" = 1 ] && tag=beta
	base=${OPENCLAW_INSTALL_URL:-https://github.com/openclaw/openclaw-rust/releases}
	case $tag in
	latest) from=$base/latest/download ;;
	[0-9]*) from=$base/download/v$tag ;;
	*) from=$base/download/$tag ;;
	esac
	name=openclaw-$(target)

	# A package's programs are its manager's to replace.
	if [ -e "$prefix/bin/openclaw" ] && command -v dpkg >/dev/null &&
		dpkg -S "$prefix/bin/openclaw" >/dev/null 2>&1; then
		fail "$prefix/bin/openclaw belongs to a package" "apt install --only-upgrade openclaw"
	fi
	before=
	if [ -x "$prefix/bin/openclaw" ]; then
		before=$("$prefix/bin/openclaw" --version 2>/dev/null || echo unknown)
	fi
	if [ $dry = yes ]; then
		say "would fetch $from/$name.tar.gz"
		say "would install below $prefix${before:+, over $before}"
		return
	fi

	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	trap 'exit 1' INT TERM HUP
	say "Fetching $from/$name.tar.gz"
	fetch "$from/$name.tar.gz" "$work/$name.tar.gz" || fail "$from/$name.tar.gz cannot be fetched"
	fetch "$from/SHA256SUMS" "$work/SHA256SUMS" || fail "$from/SHA256SUMS cannot be fetched"
	grep "  $name.tar.gz\$" "$work/SHA256SUMS" >"$work/sum" || fail "SHA256SUMS has no $name.tar.gz"
	(cd "$work" && sha256sum -c sum >/dev/null 2>&1) ||
		fail "what was fetched is not what was released (SHA-256)" "try again; tell us if it stays so"
	tar -xzf "$work/$name.tar.gz" -C "$work"
	"$work/$name/programs/openclaw" --version >/dev/null ||
		fail "the program does not run on this system"

	sh "$work/$name/contrib/install" prefix="$prefix" builddir="$work/$name/programs" \
		system=$everybody >/dev/null
	if [ $everybody = yes ] && [ -d /run/systemd/system ]; then
		systemd-sysusers "$prefix/lib/sysusers.d/openclaw.conf"
		systemd-tmpfiles --create "$prefix/lib/tmpfiles.d/openclaw.conf"
		systemctl daemon-reload
	fi
	now=$("$prefix/bin/openclaw" --version)
	say "Installed OpenClaw $now below $prefix${before:+ (before: $before)}"

	case ":$PATH:" in
	*":$prefix/bin:"*)
		found=$(command -v openclaw || :)
		if [ "$found" != "$prefix/bin/openclaw" ]; then
			say "Another openclaw comes first on your PATH: $found"
		fi
		;;
	*)
		say "Its folder is not on your PATH. Add this line to ~/.profile, and log in again:"
		say "  export PATH=\"$prefix/bin:\$PATH\""
		;;
	esac

	if [ -n "$before" ]; then
		# What an earlier version left is brought up to date, and what runs becomes this version.
		"$prefix/bin/openclaw" doctor --non-interactive || say "openclaw doctor found something, see above"
		if "$prefix/bin/openclawctl" status >/dev/null 2>&1; then
			"$prefix/bin/openclaw" gateway restart ||
				say "The gateway still runs as $before: start it again"
		fi
	elif [ $onboard = yes ] && (: </dev/tty) 2>/dev/null; then
		# Standard input is this script.
		"$prefix/bin/openclaw" onboard --install-daemon </dev/tty
	else
		say "Next: $prefix/bin/openclaw onboard --install-daemon"
	fi
}

# At the end, so that half a script does nothing.
main "$@"
