package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/tickwire/tickwire/plugins/manifest"
)

// oci is a plugin's repository in a registry of the OCI distribution specification 1.1. A version is a tag (with _ for +) on an image manifest:
//
//	artifactType  application/vnd.tickwire.plugin.v1
//	config        the empty one
//	layers        one, application/wasm: the module, titled <name>.wasm
//	annotations   org.opencontainers.image.{title,version}, created at no time: a version is the same manifest wherever it is pushed;
//	              vnd.tickwire.plugin.requires: the manifest's "requires", if it has any
//
// The specification has no way to tag only what has no tag: of two who publish one version at the same moment, with other bytes, the later one wins.
type oci struct {
	repo *remote.Repository
	name string
}

// ArtifactType of plugins in OCI registries.
const ArtifactType = "application/vnd.tickwire.plugin.v1"

const (
	requiresKey       = "vnd.tickwire.plugin.requires"
	mediaType         = "application/wasm"
	mostManifestBytes = 1 << 20
	mostTags          = 10_000
)

func (c *Client) oci(r Ref) (shelf, error) {
	path := r.Name
	if r.Path != "" {
		path = r.Path + "/" + r.Name
	}
	repo, err := remote.NewRepository(r.Host + "/" + path)
	if err != nil {
		return nil, fmt.Errorf("registry: %s: %w", r, err)
	}
	client, err := c.client()
	if err != nil {
		return nil, err
	}
	authenticated := &auth.Client{Client: client, Cache: auth.NewCache(), Header: http.Header{"User-Agent": {userAgent()}}}
	credential := auth.Credential{AccessToken: string(c.Secret)}
	if c.User != "" {
		credential = auth.Credential{Username: c.User, Password: string(c.Secret)}
	}
	if c.Secret != "" {
		authenticated.Credential = auth.StaticCredential(repo.Reference.Host(), credential)
	}
	if u := (&url.URL{Host: r.Host}); loopback(u.Hostname()) {
		authenticated.BlockedRealmPrefixes = []netip.Prefix{} // a registry on this machine may have its token server here too; others may not name one
	}
	repo.Client, repo.PlainHTTP, repo.MaxMetadataBytes = authenticated, c.PlainHTTP, mostManifestBytes
	return &oci{repo, r.Name}, nil
}

func (o *oci) list(ctx context.Context) (all []Entry, err error) {
	err = o.repo.Tags(ctx, "", func(tags []string) error {
		for _, tag := range tags {
			if v := versionOf(tag); manifest.ValidVersion(v) && tagOf(v) == tag {
				all = append(all, Entry{Version: v})
			}
		}
		if len(all) > mostTags {
			return fmt.Errorf("more than %d versions", mostTags)
		}
		return nil
	})
	return all, ociError(err)
}

func (o *oci) fetch(ctx context.Context, e Entry) ([]byte, string, error) {
	layer, err := o.layer(ctx, e.Version)
	if err != nil {
		return nil, "", err
	}
	module, err := content.FetchAll(ctx, o.repo.Blobs(), *layer) // which compares size and digest
	switch {
	case errors.Is(err, content.ErrMismatchedDigest) || errors.Is(err, content.ErrTrailingData):
		return nil, "", ErrDigest
	case err != nil:
		return nil, "", ociError(err)
	}
	return module, layer.Digest.Encoded(), nil
}

func (o *oci) needs(ctx context.Context, e Entry) ([]manifest.Requirement, error) {
	m, err := o.manifest(ctx, e.Version)
	if err != nil {
		return nil, err
	}
	return requiresOf(m)
}

func requiresOf(m *ocispec.Manifest) (needs []manifest.Requirement, err error) {
	if text := m.Annotations[requiresKey]; text != "" {
		if err := json.Unmarshal([]byte(text), &needs); err != nil {
			return nil, fmt.Errorf("annotation %s: %w", requiresKey, err)
		}
	}
	return needs, nil
}

// layer that holds a version's module.
func (o *oci) layer(ctx context.Context, version string) (*ocispec.Descriptor, error) {
	m, err := o.manifest(ctx, version)
	if err != nil {
		return nil, err
	}
	return &m.Layers[0], nil
}

func (o *oci) manifest(ctx context.Context, version string) (*ocispec.Manifest, error) {
	desc, err := o.repo.Resolve(ctx, tagOf(version))
	switch {
	case err != nil:
		return nil, ociError(err)
	case desc.Size > mostManifestBytes:
		return nil, fmt.Errorf("a manifest of %d bytes, but at most %d", desc.Size, mostManifestBytes)
	}
	text, err := content.FetchAll(ctx, o.repo, desc)
	if err != nil {
		return nil, ociError(err)
	}
	return parseArtifact(text)
}

// parseArtifact checks that an image manifest is a plugin's: it has one layer, which may be a module.
func parseArtifact(text []byte) (*ocispec.Manifest, error) {
	var m ocispec.Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("the registry's manifest: %w", err)
	}
	if m.ArtifactType != ArtifactType || len(m.Layers) != 1 {
		return nil, fmt.Errorf("it is no plugin: an artifact of type %q with %d layers, want %s with one", m.ArtifactType, len(m.Layers), ArtifactType)
	}
	switch l := &m.Layers[0]; {
	case l.MediaType != mediaType:
		return nil, fmt.Errorf("its layer is %q, want %s", l.MediaType, mediaType)
	case l.Digest.Validate() != nil || l.Digest.Algorithm() != digest.SHA256:
		return nil, fmt.Errorf("its layer has the digest %q, want one of sha256", l.Digest)
	case l.Size < 1 || l.Size > manifest.MostModuleBytes:
		return nil, fmt.Errorf("its layer has %d bytes, want 1 to %d", l.Size, manifest.MostModuleBytes)
	}
	return &m, nil
}

func (o *oci) publish(ctx context.Context, e Entry, module []byte) error {
	layer := content.NewDescriptorFromBytes(mediaType, module)
	switch had, err := o.layer(ctx, e.Version); {
	case err == nil && had.Digest == layer.Digest:
		return nil
	case err == nil:
		return ErrOtherBytes
	case !errors.Is(err, ErrNotFound):
		return err
	}
	there, err := o.repo.Blobs().Exists(ctx, layer)
	if err == nil && !there {
		err = o.repo.Push(ctx, layer, bytes.NewReader(module))
	}
	if err != nil {
		return ociError(err)
	}
	layer.Annotations = map[string]string{ocispec.AnnotationTitle: o.name + ".wasm"}
	notes := map[string]string{ocispec.AnnotationTitle: o.name, ocispec.AnnotationVersion: e.Version, ocispec.AnnotationCreated: "1970-01-01T00:00:00Z"}
	if len(e.Requires) > 0 {
		text, err := json.Marshal(e.Requires)
		if err != nil {
			return err
		}
		notes[requiresKey] = string(text)
	}
	desc, err := oras.PackManifest(ctx, o.repo, oras.PackManifestVersion1_1, ArtifactType, oras.PackManifestOptions{
		Layers: []ocispec.Descriptor{layer}, ManifestAnnotations: notes,
	})
	if err != nil {
		return ociError(err)
	}
	return ociError(o.repo.Tag(ctx, desc, tagOf(e.Version)))
}

// ociError makes what is not there ErrNotFound, and says what to do about a refusal.
func ociError(err error) error {
	var answer *errcode.ErrorResponse
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errdef.ErrNotFound) || errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	case errors.As(err, &answer) && (answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden), errors.Is(err, auth.ErrBasicCredentialNotFound):
		return fmt.Errorf("the registry wants credentials, or others: %w", err)
	}
	return err
}
