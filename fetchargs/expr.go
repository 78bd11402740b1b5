package fetchargs

import "strings"

// An Expr is a parsed field expression:
//
//	sk->__sk_common.skc_dport        members through pointers and structs
//	dev->name, tbl[3], (skb + 1)     arrays, constant indexes and arithmetic
//	&sk->sk_lock, *ptr               address and target
//	tci & 0xfff, (tci >> 12) & 1     bits of a number
//	((struct inet_sock *)sk)->tos    casts
//	container_of(t, struct neighbour, timer)->nud_state
//	@jiffies, (int)@panic_timeout    global variables
//	$retval, $stack, $stack2, $arg1, $comm, %ax
//	$current->pid                    the current task
//	$caller                          where the function was called from: the address to which it returns
//	$skb, $sk, $dev                  the first parameter that is a pointer to a struct sk_buff, sock or net_device
//	a ?? b                           the first whose types exist on this kernel
//
// Names that start an expression are parameters of the probed function.
type Expr struct {
	text string
	root node
}

// String returns the expression as it was written.
func (e *Expr) String() string { return e.text }

// A node is one of the types below; pos is where its own token stands.
type node interface{ position() int }

type (
	nameNode struct {
		pos  int
		name string
	} // a parameter
	baseNode struct {
		pos  int
		base Base
	} // $retval, %di, @symbol
	memberNode struct {
		pos   int
		x     node
		name  string
		arrow bool
	}
	indexNode struct {
		pos int
		x   node
		n   int64
	}
	unaryNode struct {
		pos int
		op  byte
		x   node
	} // & or *
	castNode struct {
		pos   int
		typ   string
		stars int
		x     node
	}
	addNode struct {
		pos int
		x   node
		n   int64
	}
	bitsNode struct {
		pos, mask int
		x         node
		shift     int
		width     int // 0: all that are left
	}
	altNode struct {
		pos     int
		choices []node
	}
)

func (n nameNode) position() int   { return n.pos }
func (n baseNode) position() int   { return n.pos }
func (n memberNode) position() int { return n.pos }
func (n indexNode) position() int  { return n.pos }
func (n unaryNode) position() int  { return n.pos }
func (n castNode) position() int   { return n.pos }
func (n addNode) position() int    { return n.pos }
func (n bitsNode) position() int   { return n.pos }
func (n altNode) position() int    { return n.pos }

// maxNesting bounds parentheses, casts and prefixes, so that a hostile
// expression cannot exhaust the stack.
const maxNesting = 64

// maxExpr is the length of an expression; a whole definition has no more.
const maxExpr = MaxLine

// Parse parses a field expression. A fault is an [*ExprError] with its place.
func Parse(text string) (*Expr, error) {
	p := &exprParser{argParser: argParser{text: text}}
	if len(text) > maxExpr {
		return nil, p.fail("the expression is too long")
	}
	root, err := p.alternatives()
	if err != nil {
		return nil, err
	}
	if p.pos < len(text) {
		return nil, p.fail("unexpected text after the expression")
	}
	return &Expr{text: text, root: root}, nil
}

type exprParser struct {
	argParser
	depth int
}

func (p *exprParser) space() {
	p.word(func(c byte) bool { return c == ' ' || c == '\t' })
}

// take consumes s, if it comes next, and the space around it.
func (p *exprParser) take(s string) bool {
	p.space()
	if !strings.HasPrefix(p.text[p.pos:], s) {
		return false
	}
	p.pos += len(s)
	p.space()
	return true
}

func (p *exprParser) alternatives() (node, error) {
	if p.depth++; p.depth > maxNesting {
		return nil, p.fail("nested too deeply")
	}
	defer func() { p.depth-- }()
	first, err := p.bits()
	if err != nil {
		return nil, err
	}
	alt := altNode{pos: p.pos, choices: []node{first}}
	for p.take("??") {
		x, err := p.bits()
		if err != nil {
			return nil, err
		}
		alt.choices = append(alt.choices, x)
	}
	if len(alt.choices) == 1 {
		return first, nil
	}
	return alt, nil
}

func (p *exprParser) sum() (node, error) {
	x, err := p.unary()
	for err == nil {
		p.space()
		pos := p.pos
		op := p.peek()
		if op != '+' && op != '-' {
			return x, nil
		}
		p.pos++
		p.space()
		var n int64
		if n, err = p.constant("only a constant can be added: fetch-args cannot add two values"); err != nil {
			return nil, err
		}
		if op == '-' {
			n = -n
		}
		x = addNode{pos, x, n}
	}
	return nil, err
}

func (p *exprParser) constant(msg string) (int64, error) {
	if c := p.peek(); c < '0' || c > '9' {
		return 0, p.fail(msg)
	}
	start := p.pos
	n, err := p.number()
	if err == nil && n > 1<<40 {
		p.pos = start
		return 0, p.fail("the number is too large")
	}
	p.space()
	return n, err
}

func (p *exprParser) unary() (node, error) {
	if p.depth++; p.depth > maxNesting {
		return nil, p.fail("nested too deeply")
	}
	defer func() { p.depth-- }()
	p.space()
	pos := p.pos
	switch c := p.peek(); c {
	case '&', '*':
		p.pos++
		x, err := p.unary()
		return unaryNode{pos, c, x}, err
	case '(':
		if typ, stars, ok := p.cast(); ok {
			x, err := p.unary()
			return castNode{pos, typ, stars, x}, err
		}
	}
	return p.postfix()
}

// cast takes "(struct inet_sock *)" or "(u32)". A name in parentheses alone
// is a cast when an operand follows it.
func (p *exprParser) cast() (typ string, stars int, ok bool) {
	start := p.pos
	p.take("(")
	var words []string
	for {
		w := p.word(isIdentByte)
		if w == "" {
			break
		}
		words = append(words, w)
		p.space()
	}
	for p.take("*") {
		stars++
	}
	ok = len(words) > 0 && isIdent(words[0]) && p.take(")")
	if ok && stars == 0 && len(words) == 1 {
		c := p.peek()
		mask := c == '&' && isDigit(strings.TrimLeft(p.text[p.pos+1:], " \t"))
		ok = isIdentByte(c) || c == '(' || c == '$' || c == '@' || c == '%' || c == '*' || c == '&' && !mask
	}
	if !ok {
		p.pos = start
		return "", 0, false
	}
	return strings.Join(words, " "), stars, true
}

func (p *exprParser) postfix() (node, error) {
	x, err := p.primary()
	for err == nil {
		p.space()
		pos := p.pos
		switch {
		case p.take("->"):
			x, err = p.member(x, true)
		case p.peek() == '.':
			p.pos++
			x, err = p.member(x, false)
		case p.take("["):
			var n int64
			if n, err = p.constant("an index is a constant number"); err != nil {
				return nil, err
			}
			if !p.take("]") {
				return nil, p.fail("] is missing")
			}
			x = indexNode{pos, x, n}
		default:
			return x, nil
		}
	}
	return nil, err
}

func (p *exprParser) member(x node, arrow bool) (node, error) {
	p.space()
	pos := p.pos
	name := p.word(isIdentByte)
	if !isIdent(name) {
		p.pos = pos
		return nil, p.fail("the name of a member is needed here")
	}
	return memberNode{pos, x, name, arrow}, nil
}

func (p *exprParser) primary() (node, error) {
	p.space()
	pos := p.pos
	switch c := p.peek(); {
	case c == '(':
		p.pos++
		x, err := p.alternatives()
		if err != nil {
			return nil, err
		}
		if !p.take(")") {
			return nil, p.fail(") is missing")
		}
		return x, nil
	case c == '%' || c == '$':
		var b Base
		if ours, ok := p.ours(); ok {
			return baseNode{pos, ours}, nil
		}
		err := p.base(&b)
		return baseNode{pos, b}, err
	case c == '@':
		p.pos++
		name := p.word(isSymbolByte)
		if name == "" {
			return nil, p.fail("the name of a global variable is needed after @")
		}
		if name[0] >= '0' && name[0] <= '9' {
			n, err := parseNumber(name)
			if err != nil {
				p.pos = pos + 1
				return nil, p.fail("an address is a number, 0xffffffff81000000")
			}
			return baseNode{pos, Base{Kind: Memory, Num: int64(n)}}, nil
		}
		return baseNode{pos, Base{Kind: Symbol, Name: name}}, nil
	case isIdentByte(c) && (c < '0' || c > '9'):
		name := p.word(isIdentByte)
		if name == "container_of" && p.peek() == '(' {
			return p.container(pos)
		}
		return nameNode{pos, name}, nil
	}
	if pos >= len(p.text) {
		return nil, p.fail("the expression ends too early")
	}
	return nil, p.fail("a parameter, $variable, %register, @global or ( is needed here")
}
