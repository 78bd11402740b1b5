package tracefs

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestParseFormat(t *testing.T) {
	files, err := filepath.Glob("testdata/formats/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no formats", err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			format, err := ParseFormat(bytes.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			fmt.Fprintf(&got, "%s %d, %d bytes\n", format.Name, format.ID, format.RecordSize())
			for _, f := range format.Fields {
				fmt.Fprintf(&got, "%4d %3d %s | %s", f.Offset, f.Size, f.Type, f.Name)
				for _, s := range []struct {
					on   bool
					text string
				}{
					{f.Signed, "signed"}, {f.DataLoc, "data_loc"}, {f.RelLoc, "rel_loc"}, {f.Array != 0, fmt.Sprintf("array %d", f.Array)},
				} {
					if s.on {
						got.WriteString(" " + s.text)
					}
				}
				got.WriteByte('\n')
			}
			fmt.Fprintln(&got, format.PrintFmt)
			golden := strings.TrimSuffix(name, ".txt") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseFormatRefuses(t *testing.T) {
	const head = "name: x\nID: 1\nformat:\n"
	for _, text := range []string{
		"",
		"name: x\nID: 1\nformat:\n",
		"ID: 1\nformat:\n\tfield:int a;\toffset:0;\tsize:4;\tsigned:1;\n",
		"name: x\nformat:\n\tfield:int a;\toffset:0;\tsize:4;\tsigned:1;\n",
		"name: x\nID: 70000\nformat:\n\tfield:int a;\toffset:0;\tsize:4;\tsigned:1;\n",
		head + "\tfield:int a;\toffset:0;\n",
		head + "\tfield:int a;\toffset:-1;\tsize:4;\n",
		head + "\tfield:int a;\toffset:0;\tsize:99999999;\n",
		head + "\tfield:a;\toffset:0;\tsize:4;\n",
		head + "\tfield:];\toffset:0;\tsize:4;\n",
		head + "\tfield:int a\n",
	} {
		if format, err := ParseFormat(strings.NewReader(text)); err == nil {
			t.Errorf("%q: got %+v", text, format)
		}
	}
}

func TestField(t *testing.T) {
	format := &Format{Fields: []Field{{Name: "a"}, {Name: "b", Offset: 8}}}
	if f := format.Field("b"); f == nil || f.Offset != 8 {
		t.Errorf("b: %+v", f)
	}
	if f := format.Field("c"); f != nil {
		t.Errorf("c: %+v", f)
	}
}

func FuzzParseFormat(f *testing.F) {
	files, _ := filepath.Glob("testdata/formats/*.txt")
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		format, err := ParseFormat(bytes.NewReader(text))
		if err != nil {
			return
		}
		for _, field := range format.Fields {
			if field.Name == "" || field.Type == "" || field.Offset < 0 || field.Size < 0 || field.Offset+field.Size > 2*maxRecord {
				t.Errorf("%+v", field)
			}
			format.Symbols(field.Name)
		}
	})
}
