package fetchargs

import (
	"math"
	"strconv"
	"strings"
)

// ParseArg parses one fetch-arg, with or without "NAME=" before it, as the
// kernel's documentation spells it and as kprobe_events prints it. A fault is
// an [*ExprError] with its place.
func ParseArg(text string) (Arg, error) {
	p := &argParser{text: text}
	var a Arg
	if i := strings.IndexByte(text, '='); i >= 0 && isIdent(text[:i]) {
		a.Name, p.pos = text[:i], i+1
	}
	if err := p.fetch(&a); err != nil {
		return Arg{}, err
	}
	if err := p.argType(&a.Type); err != nil {
		return Arg{}, err
	}
	if p.pos < len(text) {
		return Arg{}, p.fail("unexpected text after the argument")
	}
	return a, nil
}

type argParser struct {
	text string
	pos  int
}

func (p *argParser) fail(msg string) error {
	return &ExprError{Expr: p.text, Offset: p.pos, Msg: msg}
}

func (p *argParser) peek() byte {
	if p.pos < len(p.text) {
		return p.text[p.pos]
	}
	return 0
}

// word takes the longest run of bytes for which ok holds.
func (p *argParser) word(ok func(c byte) bool) string {
	start := p.pos
	for p.pos < len(p.text) && ok(p.text[p.pos]) {
		p.pos++
	}
	return p.text[start:p.pos]
}

// number takes an unsigned number below 2⁶³, decimal or 0x hex.
func (p *argParser) number() (int64, error) {
	start := p.pos
	n, err := p.word64()
	if err == nil && n > math.MaxInt64 {
		p.pos = start
		return 0, p.fail("the number is too large")
	}
	return int64(n), err
}

// word64 takes an unsigned number of 64 bits, such as an address.
func (p *argParser) word64() (uint64, error) {
	start := p.pos
	n, err := parseNumber(p.word(isIdentByte))
	if err != nil {
		p.pos = start
		return 0, p.fail("a number is needed here")
	}
	return n, nil
}

// parseNumber reads a number as the kernel does, but for octal ones: nobody
// who writes 010 means 8.
func parseNumber(s string) (uint64, error) {
	if len(s) > 1 && s[0] == '0' && s[1] >= '0' && s[1] <= '9' {
		return 0, strconv.ErrSyntax
	}
	if hex, ok := strings.CutPrefix(s, "0x"); ok {
		return strconv.ParseUint(hex, 16, 64)
	}
	return strconv.ParseUint(s, 10, 64)
}

func (p *argParser) fetch(a *Arg) error {
	var outer []Load
	for p.peek() == '+' || p.peek() == '-' {
		neg := p.peek() == '-'
		p.pos++
		var l Load
		if p.peek() == 'u' {
			l.User = true
			p.pos++
		}
		start := p.pos
		n, err := p.number()
		if err != nil {
			return err
		}
		if n > math.MaxInt32 {
			p.pos = start
			return p.fail("the offset is too large: the kernel keeps 32 bits of it")
		}
		if l.Offset = n; neg {
			l.Offset = -n
		}
		if p.peek() != '(' {
			return p.fail("( is needed after an offset")
		}
		p.pos++
		outer = append(outer, l)
	}
	if err := p.base(&a.Base); err != nil {
		return err
	}
	for i := len(outer) - 1; i >= 0; i-- {
		if p.peek() != ')' {
			return p.fail(") is missing")
		}
		p.pos++
		a.Loads = append(a.Loads, outer[i])
	}
	return nil
}

func (p *argParser) base(b *Base) error {
	switch p.peek() {
	case '%':
		p.pos++
		*b = Base{Kind: Register, Name: p.word(isIdentByte)}
		if b.Name == "" {
			return p.fail("the name of a register is needed after %")
		}
	case '@':
		p.pos++
		return p.memory(b)
	case '$':
		p.pos++
		return p.variable(b)
	case '\\':
		p.pos++
		if p.peek() == '-' {
			p.pos++
			n, err := p.number()
			*b = Base{Kind: Immediate, Num: -n}
			return err
		}
		n, err := p.word64()
		*b = Base{Kind: Immediate, Num: int64(n)}
		return err
	default:
		return p.fail("a fetch starts with %register, @symbol, $variable, \\immediate or +offset(")
	}
	return nil
}

func (p *argParser) memory(b *Base) error {
	if c := p.peek(); c >= '0' && c <= '9' {
		n, err := p.word64()
		*b = Base{Kind: Memory, Num: int64(n)}
		return err
	}
	name := p.word(isSymbolByte)
	if name == "" {
		return p.fail("the name of a symbol is needed after @")
	}
	*b = Base{Kind: Symbol, Name: name}
	if c := p.peek(); c == '+' || c == '-' {
		p.pos++
		n, err := p.number()
		if err != nil {
			return err
		}
		if c == '-' {
			n = -n
		}
		b.Num = n
	}
	return nil
}

func (p *argParser) variable(b *Base) error {
	start := p.pos
	name := p.word(isIdentByte)
	digits := strings.TrimLeft(name, "abcdefghijklmnopqrstuvwxyz")
	n, err := strconv.ParseUint(digits, 10, 31)
	switch word := name[:len(name)-len(digits)]; {
	case name == "retval":
		b.Kind = Retval
	case name == "comm" || name == "COMM":
		b.Kind = Comm
	case name == "stack":
		b.Kind = StackAddr
	case word == "stack" && err == nil:
		*b = Base{Kind: StackWord, Num: int64(n)}
	case word == "arg" && err == nil && n > 0:
		*b = Base{Kind: ArgNum, Num: int64(n)}
	default:
		p.pos = start
		return p.fail("known variables are $retval, $stack, $stackN, $argN (N from 1) and $comm, and in expressions $current, $caller, $elapsed, $skb, $sk and $dev")
	}
	return nil
}

func (p *argParser) argType(t *ArgType) error {
	if p.peek() != ':' {
		return nil
	}
	p.pos++
	start := p.pos
	t.Name = p.word(func(c byte) bool { return isIdentByte(c) || c == '@' || c == '/' })
	if !validType(t.Name) {
		p.pos = start
		return p.fail("unknown type; the kernel knows u8–u64, s8–s64, x8–x64, char, string, ustring, symbol, symstr and bWIDTH@OFFSET/SIZE")
	}
	if p.peek() == '[' {
		p.pos++
		start := p.pos
		n, err := p.number()
		if err != nil {
			return err
		}
		if n < 1 || n > MaxArray {
			p.pos = start
			return p.fail("an array has 1 to 64 elements")
		}
		if p.peek() != ']' {
			return p.fail("] is missing")
		}
		p.pos++
		t.Count = int(n)
	}
	return nil
}

func validType(name string) bool {
	switch name {
	case "char", "string", "ustring", "symbol", "symstr":
		return true
	case "":
		return false
	}
	switch name[0] {
	case 'u', 's', 'x':
		return name[1:] == "8" || name[1:] == "16" || name[1:] == "32" || name[1:] == "64"
	case 'b':
		width, rest, ok1 := strings.Cut(name[1:], "@")
		off, size, ok2 := strings.Cut(rest, "/")
		w, err1 := strconv.ParseUint(width, 10, 8)
		o, err2 := strconv.ParseUint(off, 10, 8)
		return ok1 && ok2 && err1 == nil && err2 == nil && validType("u"+size) &&
			w > 0 && w+o <= uint64(ArgType{Name: "u" + size}.Size())*8
	}
	return false
}

func isIdentByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func isSymbolByte(c byte) bool { return isIdentByte(c) || c == '.' }

func isIdent(s string) bool {
	if s == "" || s[0] >= '0' && s[0] <= '9' {
		return false
	}
	for i := range len(s) {
		if !isIdentByte(s[i]) {
			return false
		}
	}
	return true
}
