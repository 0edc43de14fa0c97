using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Net.Http;
using Newtonsoft.Json.Linq;

namespace GameApi.Tests
{
    /// <summary>The OpenAPI document: the file GAME_API_OPENAPI, or that of the service.</summary>
    internal static class Document
    {
        private static readonly Lazy<JObject> Loaded = new Lazy<JObject>(Load);

        internal static JObject Schemas => (JObject)Loaded.Value["components"]["schemas"];

        internal static IEnumerable<JObject> Operations =>
            ((JObject)Loaded.Value["paths"]).Properties()
                .SelectMany(path => ((JObject)path.Value).Properties())
                .Select(operation => operation.Value as JObject)
                .Where(operation => operation?["operationId"] != null);

        internal static string Text => Loaded.Value.ToString();

        internal static IEnumerable<string> MembersOf(string schema) =>
            ((JObject)Schemas[schema]["properties"]).Properties().Select(member => member.Name);

        internal static IEnumerable<string> ParametersOf(JObject operation, string place) =>
            (operation["parameters"] as JArray ?? new JArray())
                .Where(parameter => (string)parameter["in"] == place)
                .Select(parameter => (string)parameter["name"]);

        private static JObject Load()
        {
            string path = Environment.GetEnvironmentVariable("GAME_API_OPENAPI");
            return Json.Parse(string.IsNullOrEmpty(path)
                ? new HttpClient().GetStringAsync(Service.Url + "/openapi.json").GetAwaiter().GetResult()
                : File.ReadAllText(path));
        }
    }
}
