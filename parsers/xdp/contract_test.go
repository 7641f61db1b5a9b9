package xdp_test

import (
	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/parsers/xdp"
)

var _ pipeline.Decoder = (*xdp.Decoder)(nil)
