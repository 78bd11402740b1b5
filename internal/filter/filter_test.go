package filter

import (
	"fmt"
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	dns := fields{
		"family": 2, "laddr": "192.0.2.1", "lport": 40000, "raddr": "127.0.0.1", "rport": 53,
		"size": -1, "qname": "example.com", "syn": true, "len": 60,
		"pid": 100, "tid": 101, "comm": "dig", "cpu": 3,
	}
	none := fields{}
	six := fields{"family": 10, "laddr": "::1", "raddr": "2001:db8::53", "rport": 5353, "size": 1500, "syn": false}
	for _, c := range []struct {
		where string
		want  string // of dns, none and six: one digit each
	}{
		{`rport == 53`, "100"},
		{`rport != 53`, "001"},
		{`family == 2`, "100"},
		{`10 == family`, "001"},
		{`family != 0x2`, "001"},
		{`family in [2, "inet6"]`, "101"},
		{`family not in [2]`, "001"},
		{`53 == rport`, "100"},
		{`1024 > rport`, "100"},
		{`rport >= 53 and rport < 5353`, "100"},
		{`!(rport == 53)`, "011"},
		{`not (rport != 53)`, "110"},
		{`rport == nil`, "010"},
		{`rport != nil`, "101"},
		{`nil != rport`, "101"},
		{`!(rport == nil)`, "101"},
		{`rport in [53, 5353]`, "101"},
		{`rport in [5353]`, "001"},
		{`rport not in [53]`, "001"},
		{`not (rport in [53])`, "011"},
		{`rport not in []`, "101"},
		{`rport in []`, "000"},
		{`53 in [lport, rport]`, "100"},
		{`rport in 1..1023`, "100"},
		{`rport not in 1..1023`, "001"},
		{`not (rport in 1..1023)`, "011"},
		{`rport == 50 + 3`, "100"},
		{`rport == 53.0`, "100"},
		{`rport > 53.5`, "001"},
		{`rport > -1`, "101"},
		{`rport != -1`, "101"},
		{`rport < -1`, "000"},
		{`size == -1`, "100"},
		{`size < 0`, "100"},
		{`size > 1e3`, "001"},
		{`size + 1 == 0`, "100"},
		{`lport > rport`, "100"},
		{`len / 2 == 30`, "100"},
		{`5300 % (rport - 53) == 0`, "001"}, // a division by zero is false
		{`raddr == "127.0.0.1"`, "100"},
		{`raddr == "::ffff:127.0.0.1"`, "100"},
		{`raddr != "127.0.0.1"`, "001"},
		{`"127.0.0.1" == raddr`, "100"},
		{`laddr == "0:0::1"`, "001"},
		{`raddr == "127.0.0.0/8"`, "100"},
		{`raddr != "127.0.0.0/8"`, "001"},
		{`raddr in "127.0.0.9/8"`, "100"},
		{`raddr in "::ffff:127.0.0.0/104"`, "100"},
		{`raddr not in "127.0.0.0/8"`, "001"},
		{`not (raddr in "127.0.0.0/8")`, "011"},
		{`raddr in ["10.0.0.0/8", "2001:db8::/32"]`, "001"},
		{`raddr in "::/0"`, "001"},
		{`raddr == laddr`, "000"},
		{`raddr in [laddr, "127.0.0.1"]`, "100"},
		{`"127.0.0.1" in [laddr, raddr]`, "100"},
		{`raddr startsWith "127."`, "100"},
		{`comm == "dig"`, "100"},
		{`comm != "dig"`, "000"},
		{`comm in ["dig", "nslookup"]`, "100"},
		{`comm matches "^d.g$"`, "100"},
		{`comm not matches "^x"`, "100"},
		{`comm > "c"`, "100"},
		{`pid == 100 && tid == 101`, "100"},
		{`cpu == 0`, "011"},
		{`!(cpu == 0)`, "100"},
		{`event == "udp.sendmsg"`, "111"},
		{`event startsWith "udp."`, "111"},
		{`family == "inet"`, "100"},
		{`family != "inet"`, "001"},
		{`family startsWith "inet"`, "101"},
		{`family > "inet"`, "001"},
		{`qname endsWith ".com"`, "100"},
		{`lower(qname) == "example.com"`, "100"},
		{`syn`, "100"},
		{`!syn`, "011"},
		{`syn == false`, "001"},
		{`syn != true`, "001"},
		{`syn == (rport == 53)`, "101"},
		{`(rport == 53) == false`, "011"},
		{`(rport == 53) != (lport == 40000)`, "000"},
		{`rport == 53 ? size < 0 : size > 0`, "101"},
		{`(rport ?? 0) == 0`, "010"},
		{`(lport ?? rport) == 5353`, "001"},
		{`any([53, 5353], # == rport)`, "101"},
		{`rport == 53 || comm == nil`, "111"},
		{`len == 60`, "100"},
		{`true`, "111"},
		{`1 < rport < 100`, "100"},
		{`time > date("2020-01-01")`, "000"},
		{`rport in [53] and (raddr in "127.0.0.0/8" or laddr == "::1") and not (comm contains "x")`, "100"},
	} {
		f, err := Parse(c.where, schema)
		if err != nil {
			t.Errorf("%s: %v", c.where, err)
			continue
		}
		got := ""
		p := f.Program()
		for _, e := range []fields{dns, none, six} {
			got += map[bool]string{true: "1", false: "0"}[p.Match(e.event())]
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s (%T %s)", c.where, got, c.want, f.root, f.root)
		}
		// What is shown means the same.
		if again, err := Parse(f.root.String(), schema); err != nil {
			t.Errorf("%s is shown as %s: %v", c.where, f.root, err)
		} else if again.root.String() != f.root.String() {
			t.Errorf("%s is shown as %s, and that as %s", c.where, f.root, again.root)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ where, want string }{
		{`rprt == 53`, `no field "rprt" here; did you mean rport? fields: time event cpu pid tid comm family laddr lport raddr rport size qname syn len`},
		{`pid == 1 && dport == 53`, `no field "dport" here; did you mean rport or lport? fields: time event cpu pid tid comm family laddr lport raddr rport size qname syn len (at character 13)`},
		{`xyzzy > 1`, `no field "xyzzy" here; fields: time event cpu pid tid comm family laddr lport raddr rport size qname syn len`},
		{`rport == "53"`, `rport is a number; "53" is text (at character 7)`},
		{`comm == 53`, `comm is text; 53 is a number (at character 6)`},
		{`family == 53`, `family is text; 53 is a number (at character 8)`},
		{`family == -2`, `family is text; -2 is a number (at character 8)`},
		{`raddr == 1`, `raddr is an address; 1 is a number (at character 7)`},
		{`raddr == "localhost"`, `"localhost" is not an address or network, and raddr is an address (at character 10)`},
		{`raddr in ["10.0.0.0/8", "fe80::1%eth0"]`, `"fe80::1%eth0" is not an address or network, and raddr is an address (at character 25)`},
		{`raddr < "10.0.0.1"`, `raddr is an address: it can be compared with == and != (at character 7)`},
		{`comm in "dig"`, `comm is text; "dig" is text: "in" needs a list, ["a", "b"]; to search in a text use "contains" (at character 6)`},
		{`rport in ["53"]`, `rport is a number; ["53"] is a list: "53" is text (at character 7)`},
		{`rport in [53, "x"]`, `rport is a number; "x" is text (at character 15)`},
		{`rport`, `rport is a number: this is not a condition`},
		{`!rport`, `rport is a number: ! does not go with it, and to negate a comparison needs parentheses, ! (a == b)`},
		{`rport && syn`, `rport is a number; syn is true or false (at character 7)`},
		{`rport = 53`, `= is not known here: use == to compare (at character 7)`},
		{`rport == 53 & pid == 1`, `& is not known here: use && to say and (at character 13)`},
		{`raddr == 127.0.0.1`, `this is no number: addresses and other text are written in quotes, "127.0.0.1" (at character 15)`},
		{`raddr == ::1`, `this is no number: addresses and other text are written in quotes, "127.0.0.1" (at character 12)`},
		{`raddr == 2001:db8::1`, `this is no number: addresses and other text are written in quotes, "127.0.0.1" (at character 14)`},
		{`not rport == 53`, `rport is a number: not does not go with it, and to negate a comparison needs parentheses, not (a == b)`},
		{`rport ==`, `the condition ends too early (at character 8)`},
		{`(rport == 53`, `the condition ends too early (at character 12)`},
		{`foo(rport)`, `no function foo()`},
		{`let x = rport; x == 53`, `variables and sequences are not known here (at character 5)`},
		{`$env["rport"] == 53`, `$env is not known here`},
		{`size + 1 == nil`, `only a field can be compared with nil (at character 10)`},
		{`comm == "ü" && rprt == 1`, `no field "rprt" here; did you mean rport? fields: time event cpu pid tid comm family laddr lport raddr rport size qname syn len (at character 16)`},
		{`(raddr in "10.0.0.0/8" ? 1 : 2) == 1`, `an address is compared with constants by itself, not inside of another expression (at character 8)`},
		{`any([1], raddr == "::1")`, `an address is compared with constants by itself, not inside of another expression (at character 16)`},
		{" ", `the condition is empty`},
		{strings.Repeat("!", maxText+1) + "syn", `longer than 16 KiB`},
	} {
		_, err := Parse(c.where, schema)
		if err == nil {
			t.Errorf("%s: no error", c.where)
		} else if err.Error() != c.want {
			t.Errorf("%s: got\n  %v, want\n  %s", c.where, err, c.want)
		}
	}
}

func TestErrorCaret(t *testing.T) {
	_, err := Parse(`comm == "ü" && rport == "53"`, schema)
	want := "rport is a number; \"53\" is text (at character 22)\n" +
		"  comm == \"ü\" && rport == \"53\"\n" +
		"                       ^"
	if got := fmt.Sprintf("%+v", err); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := fmt.Sprintf("%v", err); got != err.Error() {
		t.Errorf("%%v is %q", got)
	}
}

func TestAnd(t *testing.T) {
	parse := func(s string) *Filter {
		f, err := Parse(s, schema)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	if f := And(nil, nil); f != nil || !f.Program().Match(fields{}.event()) || f.String() != "" {
		t.Errorf("nothing is %v", f)
	}
	one := And(nil, parse("rport == 53"))
	if one.String() != "rport == 53" {
		t.Error(one)
	}
	f := And(parse(`rport == 53 || rport == 54`), nil, parse(`pid == 1`))
	if want := "(rport == 53 || rport == 54) && (pid == 1)"; f.String() != want {
		t.Errorf("%s, want %s", f, want)
	}
	if p := f.Program(); p.Match(fields{"rport": 53}.event()) || !p.Match(fields{"rport": 54, "pid": 1}.event()) {
		t.Error("both must hold")
	}
}

func BenchmarkMatch(b *testing.B) {
	e := fields{"raddr": "192.0.2.53", "rport": 5353, "comm": "dnsmasq", "qname": "example.com", "lport": 1}.event()
	for _, where := range []string{
		`rport == 53`,
		`rport in [53, 5353] && raddr in "192.0.2.0/24" && comm == "dnsmasq"`,
		`comm contains "masq"`,
		`comm matches "^dns" && qname endsWith ".com"`,
		`lport + 1 < rport`,
	} {
		b.Run(where, func(b *testing.B) {
			f, err := Parse(where, schema)
			if err != nil {
				b.Fatal(err)
			}
			p := f.Program()
			b.ReportAllocs()
			for b.Loop() {
				p.Match(e)
			}
		})
	}
}
