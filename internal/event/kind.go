package event

// A Kind says how one sort of value is fetched, decoded, printed and compared.
// A compound kind (sock, packet, sockaddr) reads several places and yields
// several values, its parts.
type Kind struct {
	Name  string // as written after the colon: "rport=sk->…:port"
	Help  string // one line
	Class Class
	// Width is the usual number of columns in a table; Right aligns numbers.
	Width int
	Right bool

	// Reads are what is fetched for a value, as expressions in which "$"
	// stands for the field's own expression. A simple kind has one.
	Reads []Read
	// Parts are the values that a compound kind yields, nil for a simple
	// kind, which yields one.
	Parts []Part
	// Whole: the parts need all reads that are not Optional.
	Whole bool
	// Decode turns what was read into values.
	Decode Decoder
	// Snap, where it is not nil, returns the kind with n bytes of the packet from
	// skb->data on.
	Snap func(n int) *Kind
	// Append writes a present value as text, as tables and JSON strings
	// show it. nil: by Class. Where the value's Text is empty, what it writes
	// must depend on Num and Addr alone: sinks keep it for equal ones.
	Append func(dst []byte, v *Value) []byte
	// Compare tells how the kernel's event filter can compare the value.
	// The zero value: it cannot.
	Compare Compare
	// Lookup returns the number that a text stands for, for kinds of Class
	// Text that are numbers in the kernel: names of an enum, and numbers for
	// values that have no name.
	Lookup func(text string) (uint64, bool)
	// Normalize returns a text as Append writes it, for kinds of Class Text
	// that people write in several ways: a MAC in upper case. false: no value
	// is ever written so. nil: any text may be a value.
	Normalize func(text string) (string, bool)
	// Names are the texts that Lookup or Normalize know, for suggestions.
	Names []string

	// Indent: tables indent the text by two blanks for each of Num.
	Indent bool

	of string // which of several kinds of one name: the enum
}

// A Read is one fetch of a kind.
type Read struct {
	Expr string // "$", "$->__sk_common.skc_dport"
	// Size is the number of bytes read; 0: that of the expression's type.
	Size int
	// Follow: an expression that is a pointer is followed, because the
	// value lies behind it: a MAC, an address.
	Follow bool
	// Word: an expression that is a word without a type, such as a register,
	// is followed too.
	Word bool
	// String reads a NUL-terminated string from the address of the
	// expression, or from the pointer that it is.
	String bool
	// User reads from the memory of the current process, to which the last
	// pointer of the expression leads.
	User bool
	// Optional: where this kernel has no such member, the read is absent.
	// Where one that is not Optional is missing, the parts that are it alone
	// (Part.Expr) are lost; if there are none, the whole field is.
	Optional bool
}

// A Part is one value of a compound kind.
type Part struct {
	Name string
	Help string
	Kind *Kind
	// Expr is where the value lies alone, so that the kernel can compare it
	// as Kind.Compare says; "$" stands for the field's expression. "" where
	// it cannot.
	Expr string
	// When, if not nil, is the condition under which Expr is the value: the
	// IPv4 address of a sock is one only for the family inet. Where it does
	// not hold the kernel cannot tell.
	When *When
	Wide bool
	// OnRequest parts are taken only where their column is asked for.
	OnRequest bool
}

// When is a condition: the number at Expr equals Value.
type When struct {
	Expr  string
	Value int64
}

// Compare is a kernel filter's way to compare a kind.
type Compare uint8

// Ways to compare.
const (
	NoCompare     Compare = iota
	CompareNumber         // native integer: all operators
	CompareBE16           // big-endian 16 bits: only == and !=
	CompareIPv4           // four bytes in network order: ==, != and prefixes
)
