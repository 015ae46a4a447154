// Providers that every org may use.

import { ProviderCard } from "../org/Providers";
import { Page } from "../ui/basics";

export function PlatformModels() {
  return <Page title="Models for everybody" narrow><ProviderCard platform /></Page>;
}
