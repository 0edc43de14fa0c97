using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using System.Threading.Tasks;
using Newtonsoft.Json.Linq;

namespace GameApi.Tests
{
    /// <summary>The package as Unity's package manager sees it; its folder is in PACKAGE.</summary>
    internal static class PackageTests
    {
        private static string Root => Environment.GetEnvironmentVariable("PACKAGE");

        public static Task Every_file_that_Unity_imports_has_a_meta_file_with_its_own_guid()
        {
            List<string> assets = Assets(Root).ToList();
            Check.True(assets.Count > 30, "the package has files");
            Check.SameSet(assets.Select(asset => asset + ".meta"), Metas(Root), "meta files");
            var guids = new HashSet<string>();
            foreach (string meta in Metas(Root))
            {
                Match guid = Regex.Match(File.ReadAllText(meta), "^guid: ([0-9a-f]{32})$", RegexOptions.Multiline);
                Check.True(guid.Success && guids.Add(guid.Groups[1].Value), meta + " has a guid of its own");
            }
            return Task.CompletedTask;
        }

        public static Task The_manifest_names_only_what_is_there()
        {
            JObject manifest = Json.Parse(File.ReadAllText(Path.Combine(Root, "package.json")));
            foreach (JToken sample in manifest["samples"])
            {
                Check.True(Directory.Exists(Path.Combine(Root, (string)sample["path"])), "the sample is there");
            }
            Check.Equal("com.game-api.client", (string)manifest["name"]);
            string changelog = File.ReadAllText(Path.Combine(Root, "CHANGELOG.md"));
            Check.True(changelog.Contains("[" + manifest["version"] + "]"), "the changelog has the version");
            return Task.CompletedTask;
        }

        // Unity hides what ends with a tilde or begins with a dot.
        private static IEnumerable<string> Assets(string folder) =>
            Directory.GetFileSystemEntries(folder)
                .Where(entry => !entry.EndsWith("~") && !Path.GetFileName(entry).StartsWith(".") && !entry.EndsWith(".meta"))
                .SelectMany(entry => Directory.Exists(entry) ? Assets(entry).Concat(new[] { entry }) : new[] { entry });

        private static IEnumerable<string> Metas(string folder) =>
            Directory.GetFiles(folder, "*.meta", SearchOption.AllDirectories);
    }
}
