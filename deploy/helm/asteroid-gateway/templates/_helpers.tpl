{{/* The release's name, which is that of all objects. */}}
{{- define "name" -}}
{{- $name := .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
{{- fail (printf "the release %q cannot name a Service: take lower case letters, digits and hyphens, a letter first" $name) -}}
{{- end -}}
{{- $name -}}
{{- end }}

{{- define "selector" -}}
app.kubernetes.io/name: asteroid-gateway
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "labels" -}}
{{ include "selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* The configuration as a YAML document. Nothing is merged: whoever writes one writes all of it. */}}
{{- define "config" -}}
{{- if .Values.config }}{{ toYaml .Values.config }}{{ else }}{{ .Files.Get "files/gateway.yaml" }}{{ end }}
{{- end }}

{{/* Says something of an address that nobody outside of the pod reaches. */}}
{{- define "loopback" -}}
{{- if regexMatch "^(127[.]|localhost:|\\[::1\\]|\\[::ffff:127[.])" . }}loopback{{ end -}}
{{- end }}

{{/* The port of the admin listener, which must be on the pod's address. */}}
{{- define "adminPort" -}}
{{- $address := dig "admin" "address" "127.0.0.1:9090" (include "config" . | fromYaml) -}}
{{- if include "loopback" $address -}}
{{- fail "config.admin.address must be on the pod's address, such as 0.0.0.0:9090: probes and Prometheus come from outside" -}}
{{- end -}}
{{- regexFind "[0-9]+$" $address -}}
{{- end }}

{{/* What the gateway reads only when it starts. Another value replaces the pods; all other changes reach them as they run. */}}
{{- define "restart" -}}
{{- $config := include "config" . | fromYaml -}}
{{- $listeners := list -}}
{{- range $config.listeners }}{{ $listeners = append $listeners (omit . "tenant" "hosts") }}{{ end -}}
{{- $timeouts := pick ($config.timeouts | default dict) "connect" "idle" -}}
{{- $upstream := omit ($config.upstream | default dict) "credential_header" -}}
{{- $rest := pick $config "admin" "drain" "traces" "audit" "fingerprint_salt" "workers" -}}
{{- dict "listeners" $listeners "timeouts" $timeouts "upstream" $upstream "rest" $rest | toJson | sha256sum -}}
{{- end }}
