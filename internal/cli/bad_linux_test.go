package cli_test

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skprobe/skprobe/internal/cli/clitest"
)

// badCase is a command line that cannot work.
type badCase struct {
	args   []string
	status int
	says   []string // all of which are in the one line on stderr
}

// udpBad is a run of udp that cannot work.
func udpBad(status int, says string, flags ...string) badCase {
	return badCase{append([]string{"udp", "--duration", "1ns"}, flags...), status, []string{says}}
}

// probeBad is a probe that cannot work.
func probeBad(status int, probe string, says ...string) badCase {
	return badCase{[]string{"probe", "--duration", "1ns", probe}, status, says}
}

func (c badCase) run(t *testing.T) {
	t.Run(strings.Join(c.args, " "), func(t *testing.T) {
		r := clitest.Do(t, c.args...)
		t.Logf("%s", r.Stderr)
		if r.Status != c.status {
			t.Errorf("status %d, want %d", r.Status, c.status)
		}
		if r.Stdout != "" {
			t.Errorf("on stdout: %q", r.Stdout)
		}
		if !strings.HasPrefix(r.Stderr, "skprobe: ") || strings.Count(r.Stderr, "\n") != 1 {
			t.Errorf("more than one line, or not ours:\n%s", r.Stderr)
		}
		for _, s := range c.says {
			if !strings.Contains(r.Stderr, s) {
				t.Errorf("the message does not say %q: %s", s, r.Stderr)
			}
		}
		nothingLeft(t)
	})
}

func TestBadFlags(t *testing.T) {
	needs(t)
	for _, c := range []badCase{
		{[]string{"udpp"}, 2, []string{`unknown command "udpp"`, `did you mean "udp"?`}},
		{[]string{"--foo"}, 2, []string{"unknown flag: --foo"}},
		{[]string{"version", "x"}, 2, []string{`no argument "x"`}},
		{[]string{"probe"}, 2, []string{"a probe is needed"}},
		{[]string{"vars"}, 2, []string{"one function or type is needed"}},
		{[]string{"vars", "struct nosuch"}, 2, []string{"no struct nosuch"}},
		{[]string{"list", "["}, 2, []string{"is no pattern"}},
		{[]string{"list", "zzzz*"}, 1, []string{`nothing matches "zzzz*"`}},
		udpBad(2, "unknown flag: --foo", "--foo"),
		udpBad(2, `no argument "extra"`, "extra"),
		udpBad(2, "70000", "--port", "70000"),
		udpBad(2, `"1.2.3" is no address`, "--addr", "1.2.3"),
		udpBad(2, `"xml": it is one of table, json, csv`, "--format", "xml"),
		udpBad(2, "one of wall", "--timestamp", "x"),
		udpBad(2, "cannot be negative", "--duration", "-3s"),
		udpBad(2, "missing unit", "--duration", "3"),
		udpBad(2, "4 to 1048576 KiB", "--buffer", "1"),
		udpBad(2, `"abc" for "-p, --pid" flag: that is no number`, "--pid", "abc"),
		udpBad(2, `"maybe" for "--strict" flag: the flag alone is enough`, "--strict=maybe"),
		udpBad(2, `"-1" for "--count" flag: that is no number`, "--count", "-1"),
		udpBad(1, "there is no process 99999999", "--pid", "99999999"),
		udpBad(2, "exclude each other", "--pid", "1", "--", "true"),
		udpBad(2, "a program is needed after --", "--"),
		udpBad(127, "executable file not found", "--", "no-such-program"),
		udpBad(127, "no such file", "--", "/no/such/program"),
		udpBad(126, "permission denied", "--", "/proc/self/maps"),
		udpBad(1, "/no/such/file: no such file or directory", "-o", "/no/such/file"),
		udpBad(2, "/no/such: no such file or directory", "--cgroup", "/no/such"),
		udpBad(2, "no folder of a cgroup", "--cgroup", "/tmp"),
		udpBad(2, "give a path", "--netns", "/no/such"),
		udpBad(2, `15 bytes of a name; give "averyveryverylo"`, "--comm", "averyveryverylongname"),
		{[]string{"probe", "--duration", "1ns", "--port", "53", "ip_rcv skb"}, 2, []string{"--port: probe has none of the columns lport, rport, sport, dport"}},
		udpBad(2, "it is one of auto, btf", "--layout", "foo"),
		udpBad(2, "needs --profile FILE", "--layout", "profile"),
	} {
		c.run(t)
	}
}

func TestBadWhere(t *testing.T) {
	needs(t)
	for where, says := range map[string]string{
		`rport ==`: `condition "rport ==": the condition ends too early`,
		strings.Repeat("size > 1 || ", 3000) + "true": "longer than 16 KiB",
		strings.Repeat("(", 9000):                     "",
		`rprt == 53`:                                  `no field "rprt" here; did you mean rport? fields: time event`,
		`rport == "x"`:                                `rport is a number; "x" is text`,
		`rport + 1`:                                   "is not a condition",
		`comm == 5`:                                   "comm is text",
		`raddr == "1.2.3"`:                            "not an address or network",
		`nosuch(rport)`:                               "no function nosuch()",
		`size > 99999999999999999999999999`:           "out of range",
		`rport = 53`:                                  "use == to compare",
		`(rport == 53`:                                "", // any message will do, in one line
		"rport == 53 \n&& (":                          "",
	} {
		udpBad(2, says, "--where", where).run(t)
	}
}

func TestBadProbe(t *testing.T) {
	needs(t)
	for _, c := range []badCase{
		probeBad(2, "", "a function is needed"),
		probeBad(3, "udp_sendmsgg len", "udp_sendmsgg", "did you mean udp_sendmsg"),
		probeBad(2, "nosuchmodule:udp_sendmsg len", "module nosuchmodule is not loaded"),
		probeBad(3, "udp_sendmsg%retrn", "where a function returns is udp_sendmsg%return"),
		probeBad(2, "udp_sendmsg+x", "a number of bytes"),
		probeBad(2, "udp_sendmsg+4 len", `"len" cannot be named: at udp_sendmsg+4`, "registers"),
		probeBad(3, "udp_sendmsg+9999999 "+register(2), "udp_sendmsg+9999999: the kernel refuses it"),
		probeBad(2, "udp_sendmsg lenn", `no parameter "lenn"; it has sk, msg, len; did you mean "len"?`),
		probeBad(2, "udp_sendmsg sk->skc_dprt", `struct sock has no member "skc_dprt"`, `did you mean "__sk_common.skc_dport"`),
		probeBad(2, "udp_sendmsg sk->skc_dport", `did you mean "__sk_common.skc_dport"`),
		probeBad(2, "udp_sendmsg sk->__sk_common.skc_dprt", `struct sock_common has no member "skc_dprt"`, `did you mean "skc_dport"`),
		probeBad(2, "udp_sendmsg len:foo", `unknown kind "foo"; kinds are uint`),
		probeBad(2, "udp_sendmsg x=(len", "parenthesis is not closed"),
		probeBad(2, "udp_sendmsg x=len)", "closes nothing"),
		probeBad(2, "udp_sendmsg sk->", "the name of a member is needed here"),
		probeBad(2, "udp_sendmsg $retval", "write FUNCTION%return"),
		probeBad(2, "udp_sendmsg $foo", "known variables are $retval"),
		probeBad(3, "udp_sendmsg %foo", "%foo", "Invalid register name"),
		probeBad(3, "udp_sendmsg @no_such_global", "@no_such_global"),
		probeBad(3, "udp_sendmsg x=@init_task.comm", "a member of a variable is ((struct TYPE *)&@init_task)->comm"),
		probeBad(2, "udp_sendmsg ((struct foo *)sk)->x", `no type "struct foo"`),
		probeBad(2, "udp_sendmsg *msg", "struct msghdr has no kind of its own"),
		probeBad(2, "udp_sendmsg len->x", "is no pointer"),
		probeBad(2, "udp_sendmsg pid=len", "give the field a name"),
		probeBad(2, "udp_sendmsg len len", "two fields are called len"),
		probeBad(2, "udp_sendmsg len:string", "no text in memory"),
		probeBad(2, "udp_sendmsg len:enum", "is no enum"),
		probeBad(2, "udp_sendmsg len:sock", "is no pointer"),
		probeBad(2, "udp_sendmsg sk->sk_receive_queue.next"+strings.Repeat("->next", 20), "at most"),
		probeBad(2, "udp_sendmsg "+manyFields(200), "at most"),
		probeBad(3, "kprobe_dispatcher", "kprobe_dispatcher: the kernel refuses it", "nothing can be probed there"),
	} {
		c.run(t)
	}
}

// manyFields are fields no two of which can be fetched at once.
func manyFields(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(" f" + strings.Repeat("x", i) + "=*(u64*)(sk+" + strings.Repeat("4096+", i) + "8)")
	}
	return b.String()
}

// TestSuffixed looks at a function that exists only as a copy that the
// compiler made.
func TestSuffixed(t *testing.T) {
	needs(t)
	whole, base := suffixed(t)
	t.Logf("%s is there only as %s", base, whole)
	probeBad(2, base+" nosuch", "the compiler made", "registers").run(t)
	probeBad(2, whole+" nosuch", "the compiler made", "registers").run(t)
	clitest.Do(t, "probe", "--duration", "1ns", base+" "+register(0)).OK()
	clitest.Do(t, "probe", "--duration", "1ns", whole).OK()
	nothingLeft(t)
}

// suffixed finds a function of this kernel such as foo.isra.0 without a foo,
// which can be probed.
func suffixed(t *testing.T) (whole, base string) {
	f, err := os.Open("/proc/kallsyms")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	count := map[string]int{}
	var candidates []string
	for s := bufio.NewScanner(f); s.Scan(); {
		w := strings.Fields(s.Text())
		if len(w) != 3 || !strings.EqualFold(w[1], "t") {
			continue
		}
		name, suffix, _ := strings.Cut(w[2], ".")
		count[name]++
		if (suffix == "isra.0" || suffix == "constprop.0") && strings.HasPrefix(name, "tcp_") {
			candidates = append(candidates, w[2])
		}
	}
	for _, c := range candidates {
		if name, _, _ := strings.Cut(c, "."); count[name] == 1 && clitest.Do(t, "probe", "--duration", "1ns", c).Status == 0 {
			return c, name
		}
	}
	t.Skip("this kernel has no such function")
	return "", ""
}

// TestBadFiles gives files that are not what they should be.
func TestBadFiles(t *testing.T) {
	needs(t)
	btf, err := os.ReadFile("/sys/kernel/btf/vmlinux")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, b, 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	corrupt := append([]byte(nil), btf...)
	for i := 10000; i < len(corrupt)/2; i += 1001 {
		corrupt[i] ^= 0xff
	}
	for _, c := range []struct {
		flag, file string
		says       string
	}{
		{"--btf", write("empty", nil), "empty"},
		{"--btf", write("header", btf[:10]), ""},
		{"--btf", write("short", btf[:1000]), "truncated"},
		{"--btf", write("half", btf[:len(btf)/2]), "truncated"},
		{"--btf", write("less", btf[:len(btf)-1]), "truncated"},
		{"--btf", write("text", []byte(strings.Repeat("no BTF\n", 1000))), "not BTF"},
		{"--btf", write("elf", append([]byte("\x7fELF"), btf[4:5000]...)), ""},
		{"--btf", write("corrupt", corrupt), ""},
		{"--btf", dir, "directory"},
		{"--btf", "/no/such/file", "/no/such/file: no such file"},
		{"--profile", write("profile", []byte("{\"kernel\":")), "profile"},
		{"--profile", write("noprofile", btf[:100]), "profile"},
		{"--profile", "/no/such/file", "/no/such/file: no such file"},
	} {
		udpBad(3, c.says, c.flag, c.file).run(t)
	}
	clitest.Do(t, "udp", "--duration", "1ns", "--btf", write("whole", btf)).OK()
}
