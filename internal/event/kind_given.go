package event

// GivenSize is how much is read of what a send is given in one piece. Of the
// pieces otherwise less is read: givenFirst of the first, and givenMore of
// further ones.
const (
	GivenSize  = 400
	givenFirst = 192
	givenMore  = 128
)

// The reads of a msghdr, in the order that given expects.
const (
	givenOffset = iota
	givenCount
	givenSegments
	givenBuffer
	givenBase
	givenLen
	givenBase2
	givenLen2
	givenBase4
	givenLen4
)

// Given is what a struct msghdr gives to a send, in the memory of the process:
// the pieces of which it has one (write, send) or several (writev, sendmsg), as
// far as they are read. What is in the page cache, as with sendfile, or in the
// kernel has none.
//
// In struct iov_iter (include/linux/uio.h) there is one address: from 6.0 on it
// can be that of the bytes, if they are in one piece, which they always are from
// 6.4 on; otherwise that of an array of pieces, which is the kernel's. So it
// tells by itself which it is. All are read, whichever is right, and where that
// follows something that is no address each word costs time. So there are few:
// before 6.4 the first two pieces, of which the second may be none; and then the
// second and the fourth, since the first and the third are the lengths of two
// messages.
var Given = &Kind{Name: "given", Class: Text, Whole: true, Decode: Decoder{call: given},
	Reads: []Read{
		givenOffset:   {Expr: "$->msg_iter.iov_offset"},
		givenCount:    {Expr: "$->msg_iter.count"},
		givenSegments: {Expr: "$->msg_iter.nr_segs"},
		givenBuffer:   {Expr: "*((u8 *)$->msg_iter.ubuf)", Size: GivenSize, User: true, Optional: true},
		givenBase:     {Expr: "*((u8 *)$->msg_iter.iov->iov_base)", Size: givenFirst, User: true, Optional: true},
		givenLen:      {Expr: "$->msg_iter.iov->iov_len", Optional: true},
		givenBase2:    {Expr: "*((u8 *)($->msg_iter.__iov ?? $->msg_iter.iov)[1].iov_base)", Size: givenMore, User: true},
		givenLen2:     {Expr: "($->msg_iter.__iov ?? $->msg_iter.iov)[1].iov_len"},
		givenBase4:    {Expr: "*((u8 *)$->msg_iter.__iov[3].iov_base)", Size: givenMore, User: true, Optional: true},
		givenLen4:     {Expr: "$->msg_iter.__iov[3].iov_len", Optional: true},
	},
	Parts: []Part{
		{Name: "piece", Help: "first piece of what is sent", Kind: Bytes},
		{Name: "piece2", Help: "second piece", Kind: Bytes},
		{Name: "piece4", Help: "fourth piece", Kind: Bytes},
	}}

func given(in [][]byte, out []*Value) {
	absent(out)
	if in[givenOffset] == nil || number(in[givenOffset]) != 0 { // a part was sent already
		return
	}
	if in[givenBuffer] != nil {
		setPiece(out[0], in[givenBuffer], number(in[givenCount]))
		return
	}
	for i, p := range []struct {
		segment         uint64
		bytes, bytesLen int
	}{{0, givenBase, givenLen}, {1, givenBase2, givenLen2}, {3, givenBase4, givenLen4}} {
		if p.segment < number(in[givenSegments]) && in[p.bytesLen] != nil {
			setPiece(out[i], in[p.bytes], number(in[p.bytesLen]))
		}
	}
}

// setPiece sets a piece of n bytes of which some were read, nil where none were.
func setPiece(v *Value, read []byte, n uint64) {
	if read != nil {
		v.setText(read[:min(n, uint64(len(read)))])
	}
}
