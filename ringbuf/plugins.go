package ringbuf

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ExtPlugins is the file that says what plugins did to a feed's rows: ABI.md, `.plugins.json`.
const ExtPlugins = "plugins.json"

const mostPluginsFile = 1 << 20

// Plugins is what is in such a file.
type Plugins struct {
	// Generation counts the chains that the feed has had, from 1.
	Generation uint64 `json:"generation"`
	// Since is when the present chain came into use, ns since the Unix epoch.
	Since uint64 `json:"since"`
	// Custom names Mbp1Slot.Plugin, by place. None: the words are zeros.
	Custom []PluginColumn `json:"custom,omitempty"`
	// Chain are the plugins that rows pass, in order.
	Chain []PluginInfo `json:"chain,omitempty"`
	// Former are those that they passed before: records in the rings may still name them. The latest first, at most MostFormer.
	Former []PluginInfo `json:"former,omitempty"`
}

// MostFormer bounds Plugins.Former.
const MostFormer = 64

// PluginColumn is a custom column.
type PluginColumn struct {
	Name        string `json:"name"`
	Type        string `json:"type"` // i64, f64, price (i64 in 1e-9) or time (u64, ns since the Unix epoch)
	Plugin      string `json:"plugin"`
	Description string `json:"description,omitempty"`
}

// PluginInfo is one version of a plugin.
type PluginInfo struct {
	ID      uint64 `json:"id,string"` // what records of tick.ExtPlugin have in A: the digest's first eight bytes, the first lowest
	Name    string `json:"name"`
	Version string `json:"version"`
	Digest  string `json:"digest"` // sha256: and 64 hexadecimal digits, of the module's file
	// Reasons of verdicts, by kind and B of tick.ExtPlugin.
	TransformReasons []string `json:"transform_reasons,omitempty"`
	ValidatorReasons []string `json:"validator_reasons,omitempty"`
}

// PluginID is the number by which records name a module of this SHA-256.
func PluginID(digest [32]byte) uint64 { return binary.LittleEndian.Uint64(digest[:]) }

// bypassed are the reasons of source 2.
var bypassed = []string{"its call failed", "it had just failed and was not back yet", "it was taken out after failures"}

// Reason is what a record of tick.ExtPlugin gives as B, in words; empty: the plugin has none for it.
func (i *PluginInfo) Reason(b uint64) string {
	texts := i.TransformReasons
	switch b >> 8 & 0xff {
	case 1:
		texts = i.ValidatorReasons
	case 2:
		texts = bypassed
	}
	if n := b & 0xff; n < uint64(len(texts)) {
		return texts[n]
	}
	return ""
}

// Find is the entry with a number, nil: it is not told.
func (p *Plugins) Find(id uint64) *PluginInfo {
	for _, list := range [][]PluginInfo{p.Chain, p.Former} {
		for i := range list {
			if list[i].ID == id {
				return &list[i]
			}
		}
	}
	return nil
}

// Follow makes next the file's contents: what was in the chain before, and is not any more, is former.
func (p *Plugins) Follow(next Plugins) {
	next.Generation = p.Generation + 1
	next.Former = nil
	for _, list := range [][]PluginInfo{p.Chain, p.Former} {
		for _, old := range list {
			if next.Find(old.ID) == nil && len(next.Former) < MostFormer {
				next.Former = append(next.Former, old)
			}
		}
	}
	*p = next
}

// WritePlugins replaces the file at once: a reader finds the old or the new one, whole.
func WritePlugins(path string, p *Plugins, o SideOptions) error {
	mode, err := newFileMode(o.Mode, o.Group)
	if err != nil {
		return err
	}
	if err := mode.makeDir(filepath.Dir(path)); err != nil {
		return err
	}
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return fmt.Errorf("ringbuf: %s: %w", path, err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return fmt.Errorf("ringbuf: %w", err)
	}
	_, err = f.Write(append(text, '\n'))
	if err == nil {
		err = mode.apply(f)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("ringbuf: %s: %w", path, err)
	}
	return nil
}

// ReadPlugins reads such a file. One that is not there says that the feed has no plugins: its contents are empty.
func ReadPlugins(path string) (*Plugins, error) {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &Plugins{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("ringbuf: %w", err)
	}
	if !st.Mode().IsRegular() || st.Size() > mostPluginsFile {
		return nil, fmt.Errorf("ringbuf: %s: %s of %d bytes is no list of plugins", path, st.Mode().Type(), st.Size())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("ringbuf: %w", err)
	}
	var p Plugins
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fmt.Errorf("ringbuf: %s: %w", path, err)
	}
	if len(p.Custom) > len(Mbp1Slot{}.Plugin) {
		return nil, fmt.Errorf("ringbuf: %s: %d custom columns, but a record has %d", path, len(p.Custom), len(Mbp1Slot{}.Plugin))
	}
	return &p, nil
}
