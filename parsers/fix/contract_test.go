package fix_test

import (
	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/parsers/fix"
)

var _ pipeline.Decoder = (*fix.Decoder)(nil)
