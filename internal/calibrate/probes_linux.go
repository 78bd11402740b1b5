package calibrate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/kprobe"
	"github.com/skprobe/skprobe/tracefs"
)

// probes are the targets in this kernel.
type probes struct {
	parts  []*part
	open   []*kprobe.Probe
	places [][]fetchargs.ArgPlace
	reader *kprobe.Reader
	merger *merger
	absent []string
	names  map[string]string // of functions that have another than their first
}

// define defines the probes. A function that the kernel does not have is noted;
// the one that marks the steps must be there.
func define(o *Options) (_ *probes, err error) {
	list := targets(o.Dialect.Arrays, hasInet6())
	p := &probes{names: map[string]string{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	names := make([]string, len(list))
	for i, t := range list {
		if slices.Contains(older, t.funcs[0]) && slices.Contains(names, fnConsume) {
			continue
		}
		parts, err := partsOf(i, t, o.Arch, o.Dialect)
		if err != nil {
			return nil, err
		}
		funcs := t.funcs
		if o.Functions != nil {
			funcs = o.Functions(funcs)
		}
		err = errors.ErrUnsupported
		for _, fn := range funcs {
			if err = p.defineAll(o.FS, fn, parts); err == nil {
				// The solver knows it by the first name.
				if names[i] = t.funcs[0]; fn != names[i] {
					p.names[names[i]] = fn
				}
				break
			}
		}
		if err != nil && i == 0 {
			return nil, err
		} else if err != nil {
			p.absent = append(p.absent, fmt.Sprintf("%s: %v", t.funcs[0], err))
		}
	}
	p.merger = newMerger(list, names)
	return p, nil
}

// hasInet6 reports whether there are sockets of IPv6. To try would load the
// module.
func hasInet6() bool {
	_, err := os.Stat("/proc/net/if_inet6")
	return err == nil
}

func (p *probes) defineAll(tfs *tracefs.FS, fn string, parts []part) error {
	var made []*kprobe.Probe
	for i := range parts {
		probe, err := kprobe.Open(tfs, kprobe.Spec{Event: kprobe.EventName("calibrate_"+fn, i), Symbol: fn, Args: parts[i].args})
		if err != nil {
			for _, m := range made {
				err = errors.Join(err, m.Close())
			}
			return err
		}
		made = append(made, probe)
	}
	for i, m := range made {
		p.open, p.parts, p.places = append(p.open, m), append(p.parts, &parts[i]), append(p.places, m.Places())
	}
	return nil
}

// ring is room for the records of some rounds.
const ring = 2 << 20

// read opens the probes for the calling thread.
func (p *probes) read(tid int) error {
	var sources []kprobe.Source
	for _, probe := range p.open {
		sources = append(sources, kprobe.Source{Probe: probe})
	}
	var err error
	p.reader, err = kprobe.NewReader(sources, kprobe.ReaderOptions{PIDs: []int{tid}, RingSize: ring})
	if !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	// Through tracefs, in a pid namespace that is not the initial one, nobody
	// tells how the kernel numbers the thread: its records do.
	number, nerr := p.number()
	if nerr != nil {
		return errors.Join(err, nerr)
	}
	for i := range sources {
		sources[i].Filter = fmt.Sprintf("common_pid == %d", number)
	}
	p.reader, err = kprobe.NewReader(sources, kprobe.ReaderOptions{RingSize: ring})
	return err
}

// number is that of the calling thread in the records of all.
func (p *probes) number() (number uint32, err error) {
	reader, err := kprobe.NewReader([]kprobe.Source{{Probe: p.open[0]}}, kprobe.ReaderOptions{})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	if err := reader.Enable(); err != nil {
		return 0, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	optname := 0x52000000 | rand.Uint32N(1<<24) // no option has it
	_, _ = unix.GetsockoptInt(fd, unix.SOL_IP, int(optname))
	if err := reader.Disable(); err != nil {
		return 0, err
	}
	err = reader.Drain(func(r *kprobe.Record) error {
		for _, place := range p.places[0] {
			if place.Name != p.parts[0].args[2].Name || place.Offset+4 > len(r.Raw) {
				continue
			}
			if binary.LittleEndian.Uint32(r.Raw[place.Offset:]) == optname {
				number = binary.LittleEndian.Uint32(r.Raw[4:]) // common_pid
			}
		}
		return nil
	})
	if err == nil && number == 0 {
		err = fmt.Errorf("%s was called and not seen", fnMark)
	}
	return number, err
}

// take takes all records, after Disable.
func (p *probes) take() error {
	return p.reader.Drain(func(r *kprobe.Record) error {
		part := p.parts[r.Source]
		value := map[string][]byte{}
		for _, place := range p.places[r.Source] {
			if place.Offset+place.Size <= len(r.Raw) {
				value[place.Name] = r.Raw[place.Offset : place.Offset+place.Size]
			}
		}
		regs := make([]uint64, numRegs)
		for i := range regs {
			if b := value[part.args[i].Name]; len(b) == 8 {
				regs[i] = binary.LittleEndian.Uint64(b)
			}
		}
		pieces := make([][]byte, len(part.pieces))
		for i, pc := range part.pieces {
			b := value[part.args[numRegs+i].Name]
			if len(b) != pc.size {
				return fmt.Errorf("a record of %s without its memory", p.open[r.Source].Spec.Symbol)
			}
			pieces[i] = b
		}
		p.merger.add(part, regs, pieces)
		return nil
	})
}

// close removes everything.
func (p *probes) close() error {
	var errs []error
	if p.reader != nil {
		errs = append(errs, p.reader.Close())
	}
	for _, probe := range p.open {
		errs = append(errs, probe.Close())
	}
	return errors.Join(errs...)
}
