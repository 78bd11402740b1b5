package event

import (
	"fmt"
	"slices"

	"github.com/skprobe/skprobe/fetchargs"
)

// kindFor is the kind of a field whose expression is ref.
func (f *Field) kindFor(ref fetchargs.Ref, k *Kernel) (*Kind, error) {
	switch {
	case f.Kind != nil:
		return f.Kind, nil
	case f.KindName != "":
		return kindNamed(f.KindName, ref.Type, k)
	}
	if kind := recordedKind(ref, k.Symbol); kind != nil {
		return kind, nil
	}
	return kindOf(ref.Type, k.Symbol)
}

// loses tells whether only parts of the value are lost where this kernel has no
// such member.
func (k *Kind) loses(r *Read) bool {
	return !k.Whole && slices.ContainsFunc(k.Parts, func(p Part) bool { return p.Expr == r.Expr })
}

// isNumber tells whether the value is the little-endian number that the
// expression is, so that bits can be taken out of it and constants added.
func (k *Kind) isNumber() bool { return k.Compare == CompareNumber && len(k.Parts) == 0 }

// signed tells whether the value of an expression of type t is a signed number.
func (k *Kind) signed(t *fetchargs.Type) bool {
	return k.Class == Signed || k.Class == Text && t.Kind == fetchargs.Enum && t.Signed
}

// fits refuses a kind that would show something else than the value of ref.
func (k *Kind) fits(ref fetchargs.Ref) error {
	_, width := ref.Bits()
	switch {
	case k.isNumber() && ref.Size() > 8:
		return fmt.Errorf("%s has %d bytes and is no number; add a kind, for example :bytes, or name a member", ref.Type, ref.Size())
	case k.isNumber() || len(k.Parts) > 0:
		return nil
	case width != 0:
		return fmt.Errorf("a bit field is a number, and no %s", k.Name)
	case ref.Addend() != 0 && ref.Type.Kind != fetchargs.Pointer:
		return fmt.Errorf("a sum is a number, and no %s", k.Name)
	case ref.Addend() != 0 && len(k.Reads) == 1 && !k.Reads[0].Follow && !k.Reads[0].String:
		return fmt.Errorf("an address with something added to it is no %s", k.Name)
	}
	return nil
}

// readsMemory tells whether the value of a plain expression lies in memory.
func (k *Kind) readsMemory(ref fetchargs.Ref) bool {
	if len(k.Parts) > 0 {
		return true
	}
	for _, r := range k.Reads {
		if r.String || r.Follow && ref.Type.Kind == fetchargs.Pointer {
			return true
		}
	}
	return false
}

// shows tells whether k can show the values of other in one column: numbers
// whatever their form, texts only where they are written the same way.
func (k *Kind) shows(other *Kind) bool {
	switch {
	case k == other:
		return true
	case k.Class != other.Class:
		return false
	case k.Class != Text:
		return true
	}
	return (k.Append == nil) == (other.Append == nil) && (k.Append == nil || k.Name == other.Name && k.of == other.of)
}
