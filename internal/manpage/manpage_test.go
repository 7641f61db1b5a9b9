package manpage

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/cobra"
)

func TestPage(t *testing.T) {
	root := &cobra.Command{Use: "tool", Short: "does things", Version: "v1", Long: "It does\nthings.\n\n  tool run   one\n.hidden of roff, 'too'"}
	run := &cobra.Command{Use: "run FILE [flags]", Short: `a \ and a-b`, Example: "  tool run -c x", Run: func(*cobra.Command, []string) {}}
	run.Flags().StringP("config", "c", "/etc/x", "a `file` to read")
	run.Flags().Bool("fast", false, "")
	run.Flags().Int("secret", 1, "")
	run.Flags().Lookup("secret").Hidden = true
	root.AddCommand(run, Command())
	dir := t.TempDir()
	root.SetArgs([]string{"man", dir})
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"tool.1": `.TH "TOOL" 1 "" "tool v1" "tool"
.nh
.ad l
.SH NAME
tool \- does things
.SH SYNOPSIS
.B tool
.I COMMAND
.SH DESCRIPTION
It does
things.
.PP
.nf
  tool run   one
.fi
\&.hidden of roff, \(aqtoo\(aq
.SH COMMANDS
.TP
.BR tool\-completion (1)
Generate the autocompletion script for the specified shell
.TP
.BR tool\-run (1)
a \e and a\-b
.SH OPTIONS
.TP
.B \-h, \-\-help
help for tool
.TP
.B \-v, \-\-version
version for tool
`,
		"tool-run.1": `.TH "TOOL-RUN" 1 "" "tool v1" "tool"
.nh
.ad l
.SH NAME
tool\-run \- a \e and a\-b
.SH SYNOPSIS
.B tool run FILE
.SH OPTIONS
.TP
.B \-c, \-\-config \fIfile\fP
a file to read (default /etc/x)
.TP
.B \-\-fast
` + "\u00a0" + `
.TP
.B \-h, \-\-help
help for run
.SH EXAMPLES
.nf
  tool run \-c x
.fi
.SH SEE ALSO
.BR tool (1)
`,
	} {
		got, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s:\n%s\nwant\n%s", file, got, want)
		}
	}
	if err := Write(filepath.Join(dir, "gone"), root); err == nil {
		t.Error("a folder that is not there is no error")
	}
}
