package dns

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

func name(s string) dnsmessage.Name { return dnsmessage.MustNewName(s) }

// message makes one of the question and the answers.
func message(t testing.TB, h dnsmessage.Header, q *dnsmessage.Question, answers ...dnsmessage.ResourceBody) []byte {
	t.Helper()
	m := dnsmessage.Message{Header: h}
	owner := name("example.com.")
	if q != nil {
		m.Questions = []dnsmessage.Question{*q}
		owner = q.Name
	}
	for _, body := range answers {
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: owner, Class: dnsmessage.ClassINET}, Body: body})
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func question(n string, typ dnsmessage.Type) *dnsmessage.Question {
	return &dnsmessage.Question{Name: name(n), Type: typ, Class: dnsmessage.ClassINET}
}

func TestDecode(t *testing.T) {
	response := dnsmessage.Header{ID: 7, Response: true}
	a := func(last byte) *dnsmessage.AResource { return &dnsmessage.AResource{A: [4]byte{192, 0, 2, last}} }
	var many []dnsmessage.ResourceBody
	for i := range byte(20) {
		many = append(many, a(i))
	}
	for _, c := range []struct {
		what string
		b    []byte
		want Message
		typ  string
		code string
	}{
		{"query", message(t, dnsmessage.Header{ID: 0xbeef, RecursionDesired: true}, question("Example.com.", dnsmessage.TypeAAAA)),
			Message{ID: 0xbeef, Name: "Example.com", Type: 28}, "AAAA", "NOERROR"},
		{"answer after a chain of names", message(t, response, question("www.example.com.", dnsmessage.TypeA), &dnsmessage.CNAMEResource{CNAME: name("cdn.example.net.")}, a(7), a(8)),
			Message{ID: 7, Response: true, Name: "www.example.com", Type: 1, Answers: 3, Data: []string{"192.0.2.7", "192.0.2.8"}}, "A", "NOERROR"},
		{"IPv6", message(t, response, question("a.", dnsmessage.TypeAAAA), &dnsmessage.AAAAResource{AAAA: [16]byte{0x20, 1, 0xd, 0xb8, 15: 1}}),
			Message{ID: 7, Response: true, Name: "a", Type: 28, Answers: 1, Data: []string{"2001:db8::1"}}, "AAAA", "NOERROR"},
		{"no address", message(t, dnsmessage.Header{Response: true, RCode: dnsmessage.RCodeNameError}, question("nosuch.", dnsmessage.TypeA)),
			Message{Response: true, RCode: 3, Name: "nosuch", Type: 1}, "A", "NXDOMAIN"},
		{"mail", message(t, response, question("a.", dnsmessage.TypeMX), &dnsmessage.MXResource{Pref: 10, MX: name("mx.example.com.")}),
			Message{ID: 7, Response: true, Name: "a", Type: 15, Answers: 1, Data: []string{"10 mx.example.com"}}, "MX", "NOERROR"},
		{"service", message(t, response, question("_x._tcp.a.", dnsmessage.TypeSRV), &dnsmessage.SRVResource{Port: 443, Target: name("b.")}),
			Message{ID: 7, Response: true, Name: "_x._tcp.a", Type: 33, Answers: 1, Data: []string{"b:443"}}, "SRV", "NOERROR"},
		{"text", message(t, response, question("a.", dnsmessage.TypeTXT), &dnsmessage.TXTResource{TXT: []string{"v=1 \x1b[31m", "x"}}),
			Message{ID: 7, Response: true, Name: "a", Type: 16, Answers: 1, Data: []string{`"v=1 \x1b[31mx"`}}, "TXT", "NOERROR"},
		{"pointer", message(t, response, question("1.2.0.192.in-addr.arpa.", dnsmessage.TypePTR), &dnsmessage.PTRResource{PTR: name("host.")}),
			Message{ID: 7, Response: true, Name: "1.2.0.192.in-addr.arpa", Type: 12, Answers: 1, Data: []string{"host"}}, "PTR", "NOERROR"},
		{"a type that is not shown", message(t, response, question("a.", 65), &dnsmessage.UnknownResource{Type: 65, Data: []byte{1}}),
			Message{ID: 7, Response: true, Name: "a", Type: 65, Answers: 1}, "HTTPS", "NOERROR"},
		{"many", message(t, response, question("a.", dnsmessage.TypeA), many...),
			Message{ID: 7, Response: true, Name: "a", Type: 1, Answers: 20, Data: []string{"192.0.2.0", "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6", "192.0.2.7"}}, "A", "NOERROR"},
		{"truncated", message(t, dnsmessage.Header{Response: true, Truncated: true}, question(".", dnsmessage.TypeNS)),
			Message{Response: true, Truncated: true, Name: ".", Type: 2}, "NS", "NOERROR"},
		{"multicast, without a question", message(t, dnsmessage.Header{Response: true}, nil, a(9)),
			Message{Response: true, Name: "example.com", Type: 1, Answers: 1, Data: []string{"192.0.2.9"}}, "A", "NOERROR"},
		{"refused, without a question", message(t, dnsmessage.Header{ID: 3, Response: true, RCode: 5}, nil), Message{ID: 3, Response: true, RCode: 5}, "TYPE0", "REFUSED"},
		{"unknown code and type", message(t, dnsmessage.Header{RCode: 12}, question("a.", 1234)), Message{RCode: 12, Name: "a", Type: 1234}, "TYPE1234", "RCODE12"},
	} {
		var m Message
		if !m.Decode(c.b) {
			t.Errorf("%s: no message", c.what)
			continue
		}
		if !m.equal(&c.want) {
			t.Errorf("%s: %+v, want %+v", c.what, m, c.want)
		}
		if TypeName(m.Type) != c.typ || RCodeName(m.RCode) != c.code {
			t.Errorf("%s: %s %s, want %s %s", c.what, TypeName(m.Type), RCodeName(m.RCode), c.typ, c.code)
		}
	}
}

func (m *Message) equal(n *Message) bool {
	a, b := *m, *n
	a.Data, b.Data = nil, nil
	return slices.Equal(m.Data, n.Data) && a.ID == b.ID && a.Response == b.Response && a.Truncated == b.Truncated && a.RCode == b.RCode &&
		a.Opcode == b.Opcode && a.Name == b.Name && a.Type == b.Type && a.Answers == b.Answers
}

// Of a message that is cut, what is there is the same as in the whole one.
func TestDecodeCut(t *testing.T) {
	b := message(t, dnsmessage.Header{ID: 7, Response: true}, question("www.example.com.", dnsmessage.TypeA),
		&dnsmessage.CNAMEResource{CNAME: name("cdn.example.net.")}, &dnsmessage.AResource{A: [4]byte{192, 0, 2, 7}}, &dnsmessage.AResource{A: [4]byte{192, 0, 2, 8}})
	var whole, m Message
	whole.Decode(b)
	for n := range b {
		if !m.Decode(b[:n]) {
			if n > 12+17+4 {
				t.Errorf("%d bytes are no message", n)
			}
			continue
		}
		if m.Name != whole.Name || m.ID != whole.ID || m.Answers != whole.Answers || len(m.Data) > 2 {
			t.Errorf("%d bytes: %+v", n, m)
		}
		for _, d := range m.Data {
			if !slices.Contains(whole.Data, d) && d != "cdn.example.net" {
				t.Errorf("%d bytes: %s", n, d)
			}
		}
	}
	for _, s := range []string{"", "GET / HTTP/1.1\r\n", strings.Repeat("\xff", 100)} {
		if m.Decode([]byte(s)) && m.Name != "" {
			t.Errorf("%q is a message: %+v", s, m)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(message(f, dnsmessage.Header{ID: 7, Response: true}, question("www.example.com.", dnsmessage.TypeA), &dnsmessage.AResource{A: [4]byte{192, 0, 2, 7}}))
	f.Add([]byte("\x00\x07\x80\x00\x00\x01\x00\x01\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m, again Message
		ok := m.Decode(b)
		if ok != again.Decode(b) || ok && !m.equal(&again) {
			t.Errorf("%+v and %+v", m, again)
		}
		if len(m.Data) > maxData || len(m.Name) > 255 {
			t.Errorf("%+v", m)
		}
	})
}
