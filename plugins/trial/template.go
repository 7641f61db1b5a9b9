package trial

import (
	"embed"
	"fmt"
	"path/filepath"

	"github.com/tickwire/tickwire/plugins/manifest"
)

// templates are cases of the plugins that package build has templates of.
//
//go:embed template/*.txt
var templates embed.FS

// WriteTemplate writes the first case of a new plugin into its folder.
func WriteTemplate(dir string, kind manifest.Kind) error {
	text, err := templates.ReadFile("template/" + string(kind) + Extension)
	if err != nil {
		return fmt.Errorf("no case to begin with of a %s", kind)
	}
	c, err := ParseCase("first", text)
	if err != nil {
		return err
	}
	_, err = WriteCase(filepath.Join(dir, Folder), c)
	return err
}
