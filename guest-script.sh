#!/bin/sh
run() { echo "\$ $*"; "$@"; echo "status $?"; }
run ./skprobe probe --ustack --stack --count 1 'udp_sendmsg len sk:sock' -- dig +tries=1 +time=1 @127.0.0.1 x.test
run ./skprobe probe --ustack --count 2 'tcp_v4_connect' -- nc -w 1 127.0.0.1 9
run ./skprobe probe --ustack --count 1 'udp_sendmsg len sk:sock' -- ./skprobe version
run ./skprobe probe --ustack --count 1 --format json 'udp_sendmsg len' -- ping -c 1 127.0.0.1
