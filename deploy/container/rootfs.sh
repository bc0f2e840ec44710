#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Everything that an image of podcred needs, and nothing else: the binary, the shared libraries that
# it asks for, the certificate authorities that the system trusts, a user. No shell. Debian's package records and
# copyright files of the packages come along, so that vulnerability scanners recognise them.
# usage: rootfs.sh BINARY DIRECTORY   (DIRECTORY must not exist)
set -eu
umask 022

binary=$1 root=$2
mkdir "$root"
mkdir -p "$root/usr/bin" "$root/etc" "$root/tmp" "$root/var/lib/dpkg/status.d"
strip -o "$root/usr/bin/podcred" "$binary"
chmod 0755 "$root/usr/bin/podcred"
printf 'root:x:0:0:root:/:/sbin/nologin\npodcred:x:60777:60777:podcred agent:/:/sbin/nologin\npodcred-fetch:x:60778:60777:podcred fetch:/:/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\npodcred:x:60777:\n' >"$root/etc/group"
chmod 1777 "$root/tmp"
# without it /etc/hosts would be asked last
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"

authorities=/etc/ssl/certs/ca-certificates.crt
mkdir -p "$root${authorities%/*}"
cp -L "$authorities" "$root$authorities"
chmod 0644 "$root$authorities"

# "libz.so.1 => /lib/.../libz.so.1 (0x...)" and "/lib64/ld-linux-x86-64.so.2 (0x...)"
libraries=$(ldd "$binary" | awk '$2 == "=>" { print $3 } $1 ~ /^\// { print $1 }' | sort -u)
for library in $libraries; do
  mkdir -p "$root${library%/*}"
  cp -L "$library" "$root$library"
  chmod 0755 "$root$library"
done

command -v dpkg-query >/dev/null || exit 0
{
  echo ca-certificates
  for library in $libraries; do
    dpkg-query -S "$(realpath "$library")" "$library" 2>/dev/null | sed 's|: .*||'
  done
} | sort -u | while read -r package; do
  name=${package%:*}
  dpkg-query -s "$package" >"$root/var/lib/dpkg/status.d/$name"
  mkdir -p "$root/usr/share/doc/$name"
  cp -L "/usr/share/doc/$name/copyright" "$root/usr/share/doc/$name/"
done
