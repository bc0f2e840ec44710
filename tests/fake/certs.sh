#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Two certificate authorities, and what servers and clients of a test need from them, as DIR/NAME.pem and DIR/NAME.key:
#   ca, ca2            nobody trusts them but who is told to
#   ok, ok2            127.0.0.1, ::1 and api.test, by ca and by ca2
#   name               another host, by ca
#   expired            of yesterday, by ca
#   client, client2    of a client, by ca
# DIR/system/ is what /etc/ssl/certs is on a system that trusts ca2.
# usage: certs.sh DIR
set -eu

cd "$1"
key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
here='subjectAltName=IP:127.0.0.1,IP:::1,DNS:api.test'

authority() {
  # shellcheck disable=SC2086 # a list of options
  openssl req -x509 $key -keyout "$1.key" -out "$1.pem" -subj "/CN=test $1" -days 2
}
leaf() { # name authority days extension
  # shellcheck disable=SC2086
  openssl req $key -keyout "$1.key" -out "$1.csr" -subj "/CN=$1" -addext "$4"
  openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -copy_extensions copyall -days "$3" -out "$1.pem"
}
make_all() {
  authority ca
  authority ca2
  leaf ok ca 2 "$here"
  leaf ok2 ca2 2 "$here"
  leaf name ca 2 subjectAltName=DNS:elsewhere.test
  leaf expired ca -1 "$here"
  leaf client ca 2 extendedKeyUsage=clientAuth
  leaf client2 ca 2 extendedKeyUsage=clientAuth
  mkdir system
  cp ca2.pem system
  cp ca2.pem system/ca-certificates.crt
  openssl rehash system
}
make_all >certs.log 2>&1 || {
  cat certs.log >&2
  exit 1
}
