package script

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// describe is a script in one line.
func describe(s *Script) string {
	words := []string{s.Command}
	for _, l := range s.Words {
		words = append(words, fmt.Sprintf("[%s]", l.Text))
	}
	for _, l := range s.Flags {
		words = append(words, fmt.Sprintf("%s=%s", l.Name, l.Text))
	}
	for _, w := range s.Program {
		words = append(words, fmt.Sprintf("<%s>", w))
	}
	return strings.Join(words, " ")
}

func isTool(name string) bool { return name == "udp" }

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text string
		args []string
		want string
	}{
		{"probe f a b", nil, "probe [f a b]"},
		{"# why\n\n  probe f x=$arg1 $retval\nprobe g%return\nwhere x == $1\n count-by  comm\n", []string{"5"}, "probe [f x=$arg1 $retval] [g%return] where=x == 5 count-by=comm"},
		{"udp\nsend\nrport $1\n-- dig \"$2 x\" '' y", []string{"53", "a"}, "udp send= rport=53 <dig> <a x> <> <y>"},
		{"graph bridge:* ip_*\n--depth 3", nil, "graph [bridge:*] [ip_*] depth=3"},
		{"probe f \\\n  a \\\n  b\r\n", nil, "probe [f  a  b]"},
	} {
		s, err := Parse("x", strings.NewReader(c.text), c.args, isTool)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if got := describe(s); got != c.want {
			t.Errorf("%q: %s, want %s", c.text, got, c.want)
		}
	}
}

func TestFaults(t *testing.T) {
	for _, c := range []struct {
		text string
		args []string
		want string
	}{
		{"", nil, "x:1:1: nothing to do"},
		{"# x\nprobee f", nil, `x:2:1: "probee": a script needs a line such as`},
		{"probe f $1", nil, "x:1:9: $1: the script was given 0 arguments"},
		{"probe f", []string{"a"}, `does not use its argument $1, "a"`},
		{"\n  probe", nil, "x:2:3: a probe is needed"},
		{"probe f\ngraph g", nil, "x:2:1: probe and graph cannot be in one script"},
		{"probe f\n--", nil, "x:2:1: a program is needed"},
		{"probe f\n-- 'a", nil, "quotation mark"},
		{"probe f\n-- a\n-- b", nil, "x:3:1: there is a program already"},
	} {
		_, err := Parse("x", strings.NewReader(c.text), c.args, isTool)
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %s", c.text, err, c.want)
		}
	}
}

func TestLocate(t *testing.T) {
	s, err := Parse("x", strings.NewReader("probe f sk->nope\n  where  rport == 1\n"), nil, isTool)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		msg, text string
		offset    int
		want      string
	}{
		{"no member", "sk->nope", 4, "x:1:13: no member"},
		{`condition "rport == 1": no field`, "", 0, `x:2:10: condition`},
		{"something else", "", 0, "x:1:1: something else"},
	} {
		if got := s.Locate(errors.New(c.msg), c.text, c.offset).Error(); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("probe f $1\n-- a 'b'\n")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := Parse("x", strings.NewReader(text), []string{"a"}, isTool); err == nil {
			s.Locate(errors.New("x"), "y", 1)
		}
	})
}
