#!/bin/sh
# A DNS server and three look-ups on the loopback interface, and what skprobe shows of them. Started by demo/run, in
# namespaces of its own or in a VM; SKPROBE_PROGRAM is the program if it is not ./skprobe.
set -eu
PATH=$PATH:/usr/sbin:/sbin
skprobe=${SKPROBE_PROGRAM:-./skprobe}
tmp=$(mktemp -d)
trap 'kill $server $tracer 2>/dev/null || :; rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
server= tracer=

# wait_for FILE TEXT: until the text stands at the start of a line of the file
wait_for() {
	n=0
	until grep -qs "^$2" "$1"; do
		n=$((n + 1))
		if [ $n -gt 300 ]; then
			echo "demo: no '$2' after 30 s:" >&2
			cat "$1" >&2
			exit 1
		fi
		sleep 0.1
	done
}

ip link set lo up
echo "nameserver 127.0.0.1" >"$tmp/resolv.conf"
if [ "${SKPROBE_VM:-}" = 1 ]; then
	cp "$tmp/resolv.conf" /etc/resolv.conf
else
	mount --bind "$tmp/resolv.conf" /etc/resolv.conf # in the mount namespace that demo/run made
fi

dnsmasq --no-daemon --conf-file=/dev/null --no-resolv --no-hosts --user=root --pid-file="$tmp/pid" \
	--listen-address=127.0.0.1 --bind-interfaces --address=/example.test/192.0.2.7 --address=/www.example.test/192.0.2.80 \
	2>"$tmp/dnsmasq" &
server=$!
wait_for "$tmp/dnsmasq" "dnsmasq: started"

# A shell starts background programs with SIGINT ignored, and SIGINT is how skprobe is stopped.
env --default-signal=INT "$skprobe" udp --send --where 'rport == 53' >"$tmp/events" 2>"$tmp/messages" &
tracer=$!
wait_for "$tmp/messages" "tracing"

echo '$ dig +short @127.0.0.1 example.test'
dig +short @127.0.0.1 example.test
echo '$ drill -Q @127.0.0.1 example.test     # sends without connecting, as dig did before 9.18'
drill -Q @127.0.0.1 example.test
echo '$ getent ahosts www.example.test'
getent ahosts www.example.test
echo

kill -INT $tracer
status=0
wait $tracer || status=$?
tracer=
echo "\$ skprobe udp --send --where 'rport == 53'"
cat "$tmp/messages" >&2
cat "$tmp/events"
[ $status = 0 ] || echo "demo: skprobe ended with status $status" >&2
exit $status
