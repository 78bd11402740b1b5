package pcapfilter

import (
	"math/bits"
	"net/netip"
	"strconv"
	"strings"
)

// looksLikeAddress tells what cannot be meant as a name.
func looksLikeAddress(s string) bool {
	return strings.ContainsRune(s, ':') || strings.ContainsRune(s, '.') && strings.Trim(s, "0123456789.") == ""
}

// parseMAC reads aa:bb:cc:dd:ee:ff, also with fewer digits, and with - or . in
// place of the colons, and writes it as the columns do.
func parseMAC(s string) (string, bool) {
	if four := strings.Split(s, "."); len(four) == 3 {
		s = ""
		for _, f := range four {
			if len(f) != 4 {
				return "", false
			}
			s += f[:2] + ":" + f[2:] + ":"
		}
		s = strings.TrimSuffix(s, ":")
	}
	parts := strings.Split(strings.ReplaceAll(s, "-", ":"), ":")
	if len(parts) != 6 {
		return "", false
	}
	for i, part := range parts {
		if _, err := strconv.ParseUint(part, 16, 8); err != nil || len(part) > 2 {
			return "", false
		}
		parts[i] = strings.ToLower("0" + part)[len(part)-1:]
	}
	return strings.Join(parts, ":"), true
}

// parseNet reads an address, or the first one to three numbers of an IPv4
// address, of which each stands for 8 bits.
func parseNet(s string) (addr netip.Addr, length int, ok bool) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr, addr.BitLen(), addr.Zone() == ""
	}
	n := strings.Count(s, ".") + 1
	if n > 3 {
		return netip.Addr{}, 0, false
	}
	addr, err := netip.ParseAddr(s + strings.Repeat(".0", 4-n))
	return addr, 8 * n, err == nil && addr.Is4()
}

// maskBits is the length of a mask, -1 if it is none.
func maskBits(s string) int {
	addr, err := netip.ParseAddr(s)
	if err != nil || !addr.Is4() {
		return -1
	}
	b := addr.As4()
	m := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	n := bits.LeadingZeros32(^m)
	if n < 32 && m<<n != 0 {
		return -1
	}
	return n
}
