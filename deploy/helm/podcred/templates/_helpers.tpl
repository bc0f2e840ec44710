{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{- define "podcred.selector" -}}
app.kubernetes.io/name: podcred
app.kubernetes.io/component: node
{{- end }}

{{- define "podcred.labels" -}}
app.kubernetes.io/name: podcred
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "podcred.image" -}}
{{ .Values.image.repository }}{{ with .Values.image.digest }}@{{ . }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* What a container of this image always has. */}}
{{- define "podcred.container" -}}
image: {{ include "podcred.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
terminationMessagePolicy: FallbackToLogsOnError
{{- end }}

{{/* The agent's address: it differs from node to node. */}}
{{- define "podcred.agentEnv" -}}
- name: HOST_IP
  valueFrom:
    fieldRef:
      fieldPath: status.hostIP
- name: AGENT
  value: {{ if eq .Values.agent.ipFamily "IPv6" }}{{ printf "[$(HOST_IP)]:%v" .Values.agent.port | quote }}{{ else }}$(HOST_IP):{{ .Values.agent.port }}{{ end }}
{{- end }}

{{/* AppArmor has a field since Kubernetes 1.30; before, annotations of the pod. */}}
{{- define "podcred.appArmorField" -}}
{{- semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version | ternary "yes" "" -}}
{{- end }}

{{/* load and resolve: root without all but some capabilities. */}}
{{- define "podcred.rootContext" -}}
runAsUser: 0
runAsGroup: 0
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
{{- if include "podcred.appArmorField" . }}
# The profiles that runtimes apply by default forbid BPF and writing below /sys/fs/bpf.
appArmorProfile:
  type: Unconfined
{{- end }}
seLinuxOptions:
  type: {{ .Values.seLinuxType }}
{{- end }}

{{- define "podcred.kernelMounts" -}}
- name: cgroup
  mountPath: /sys/fs/cgroup
- name: bpf
  mountPath: /sys/fs/bpf
{{- end }}

{{- define "podcred.configMount" -}}
- name: config
  mountPath: /etc/podcred
  readOnly: true
{{- end }}

{{/* Prometheus in a pod does not reach the node's loopback. */}}
{{- define "podcred.metricsAddress" -}}
{{- if not .Values.monitoring.podMonitor -}}
127.0.0.1:7778
{{- else if eq .Values.agent.ipFamily "IPv6" -}}
[$(HOST_IP)]:7778
{{- else -}}
$(HOST_IP):7778
{{- end -}}
{{- end }}

{{/* Not empty: the control plane is part of it. */}}
{{- define "podcred.hasControl" -}}
{{- or .Values.control.enabled (eq .Values.mode "broker") | ternary "yes" "" -}}
{{- end }}

{{/* Name and ARN, as far as they are given. */}}
{{- define "podcred.cluster" -}}
{{- range $key := list "name" "arn" }}
{{- with get $.Values.cluster $key }}
{{ $key }}: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* What the mode says of the nodes' configuration. */}}
{{- define "podcred.modeConfig" -}}
{{- $credentials := dict -}}
{{- with include "podcred.cluster" . | fromYaml }}{{ $_ := set $credentials "cluster" . }}{{ end -}}
{{- if eq .Values.mode "eks" -}}
{{- $_ := set $credentials "source" "eksAuth" -}}
{{- else if eq .Values.mode "broker" -}}
{{- $url := printf "https://podcred-broker.%s.svc:8443" .Release.Namespace -}}
{{- $_ := set $credentials "source" "broker" -}}
{{- $_ := set $credentials "objects" true -}}
{{- $_ := set $credentials "broker" (dict "url" $url "caBundle" "/etc/podcred-broker/ca.crt") -}}
{{- else if .Values.control.enabled -}}
{{- $_ := set $credentials "objects" true -}}
{{- end -}}
{{- if $credentials }}{{ toYaml (dict "credentials" $credentials) }}{{ end -}}
{{- end }}

{{/* The file as it is, unless a value replaces a part of it. */}}
{{- define "podcred.config" -}}
{{- $file := .Files.Get "files/config.yaml" | replace "namespace: podcred\n" (printf "namespace: %s\n" .Release.Namespace) -}}
{{- $mode := include "podcred.modeConfig" . | fromYaml -}}
{{- if or .Values.config $mode -}}
{{ toYaml (merge (deepCopy .Values.config) $mode (fromYaml $file)) }}
{{- else -}}
{{ $file }}
{{- end -}}
{{- end }}

{{/* The broker's own. */}}
{{- define "podcred.brokerConfig" -}}
{{- $credentials := dict "source" "sts" "objects" true -}}
{{- with include "podcred.cluster" . | fromYaml }}{{ $_ := set $credentials "cluster" . }}{{ end -}}
{{- $agents := list (printf "%s/podcred" .Release.Namespace) -}}
{{- $control := list (printf "%s/podcred-control" .Release.Namespace) -}}
{{- $base := dict "credentials" $credentials "broker" (dict "agents" $agents "control" $control) -}}
{{ toYaml (merge (deepCopy .Values.broker.config) $base) }}
{{- end }}

{{- define "podcred.associations" -}}
{{ toYaml (dict "associations" .Values.associations) }}
{{- end }}
